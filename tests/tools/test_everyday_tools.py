"""The tools of every day as programs: arguments, output, exit codes."""
import re

import pytest

from mmcls_repmlp.checkpoints import read_checkpoint
from tests.helpers import assert_same
from tests.programs import call
from tests.tools.test_tools import CONVERT, OFFICIAL, RESIZE

BROWSE = 'visualizations/browse_dataset.py'
EXPORT = 'deployment/export.py'
FLOPS = 'analysis_tools/get_flops.py'
PUBLISH = 'convert_models/publish_model.py'
DEMO = '../demo/image_demo.py'
LOCALITY = 'visualizations/vis_locality.py'
CAM = 'visualizations/vis_cam.py'


@pytest.mark.parametrize(('name', 'line', 'said', 'made'), [
    ('train.py', 'CONFIG --work-dir OUT/work --seed 0 --no-validate '
     '--auto-scale-lr --cfg-options train_cfg.max_epochs=1',
     'the last checkpoint is OUT/work/epoch_1.pth', ['work']),
    ('test.py', 'CONFIG TRAINED --metrics accuracy f1_score --metric-options '
     'topk=1 --out OUT/a.json --out-item metrics --work-dir OUT/work',
     'accuracy/top1 (.*\n)*.*single-label/f1-score ', ['a.json', 'work']),
    ('test.py', '--work-dir OUT/work MERGED --metrics accuracy',
     'accuracy/top1 ', ['work']),
    (CONVERT, 'CONFIG TRAINED OUT/a.pth --deploy-cfg OUT/b.py',
     'largest relative difference', ['a.pth', 'a.py', 'b.py']),
    (CONVERT, 'TRAINED --force OUT/a.pth', 'deploy form ', ['a.pth', 'a.py']),
    (EXPORT, 'MERGED OUT/a.onnx', '3/3', ['a.onnx', 'a.onnx.json']),
    (BROWSE, 'CONFIG OUT --phase val -n 3 --mode concat',
     '3 pictures in OUT\n', ['*.png'] * 3),
    (PUBLISH, 'TRAINED OUT/a.pth', 'OUT/a-.*.pth ', ['a-*.pth']),
    (RESIZE, 'CONFIG TRAINED OUT/a.pth --to 48 64', '8x8 to 12x16',
     ['a.pth', 'a.py']),
    (LOCALITY, 'CONFIG TRAINED OUT/a.png --block 1.0 --position 0 3 '
     '--shareset 7 --over-training EARLIER',
     'within 3x3 before(.*\n)*.*within 3x3 before', ['a.png']),
    (CAM, 'SEVEN THREE CONFIG --method scorecam --layer stages.1 --target 3 '
     '--out OUT/a.png TRAINED', 'SEVEN: .*\nTHREE: .*\ndrawn to OUT/a.png\n',
     ['a.png']),
    (CAM, 'SEVEN --out OUT/a.png TRAINED', 'SEVEN: .*\n', ['a.png']),
    (DEMO, 'SEVEN CONFIG TRAINED --out OUT/a.png',
     'class +score\n(.*%\n){5}drawn', ['a.png']),
    (DEMO, 'SEVEN THREE --top-k 2 --batch-size 1 TRAINED',
     'SEVEN: (.*%){2}\nTHREE: (.*%){2}\n', []),
    (DEMO, 'SEVEN THREE CONFIG TRAINED --out OUT/a.csv', 'OUT/a.csv',
     ['a.csv']),
])
def test_arguments_reach_the_job(tool, filled, tmp_path, capsys, name, line,
                                 said, made):
    assert tool(name, line) == 0
    assert re.search(filled(said), capsys.readouterr().out)
    files = sorted(tmp_path.iterdir())
    assert len(files) == len(made)
    assert all(file.match(pattern) for file, pattern in zip(files, made))


def test_official_names_and_back(tool, project, tmp_path):
    assert tool(OFFICIAL, 'TRAINED OUT/a.pth --to-official') == 0
    assert tool(OFFICIAL, 'OUT/a.pth OUT/b.pth --img-size 32') == 0
    before, after = (
        read_checkpoint(path)['state_dict']
        for path in (project.trained, tmp_path / 'b.pth'))
    assert [*before] == [*after]
    assert_same([*after.values()], [*before.values()], 0)


def test_vis_cam_without_its_library(tool, capsys, monkeypatch):
    monkeypatch.setattr('mmcls_repmlp.jobs.vis_cam.activation_map.find_spec',
                        lambda _: None)
    assert tool(CAM, 'OUT TRAINED --out a.png') == 2
    assert 'pip install "mmcls_repmlp[cam]"' in capsys.readouterr().err


@pytest.mark.parametrize(('name', 'line', 'message'), [
    (CONVERT, 'CONFIG TRAINED MERGED', '--force'),
    (FLOPS, 'CONFIG --shape 40', 'images of 40x40 do not fit'),
    (FLOPS, 'no.py', "config 'no.py' does not exist"),
])
def test_what_the_user_must_mend_is_one_sentence_and_code_2(
        tool, tmp_path, capsys, name, line, message):
    assert tool(name, line) == 2
    error, = capsys.readouterr().err.splitlines()
    assert 'error: ' in error and message in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(('name', 'line', 'message'), [
    ('test.py', 'a b --metrics mAP', 'mAP (choose from accuracy'),
    ('test.py', 'a b --out-item pred', 'out-item needs --out FILE'),
    (OFFICIAL, 'a b --to-official --arch b', 'do not go with --to-official'),
    (BROWSE, 'a b --phase none', 'invalid choice'),
    (LOCALITY, 'a b c --position 1', 'expected 2 arguments'),
    (DEMO, 'a.py b', 'name an image before'),
    (CAM, 'a.py b --out c', 'name an image before'),
    (CAM, 'a b --out c --method no', 'invalid choice'),
])
def test_wrong_options_are_refused_by_the_parser(capsys, name, line, message):
    with pytest.raises(SystemExit) as exit_:
        call(name, *line.split())
    assert exit_.value.code == 2
    said = capsys.readouterr().err
    assert 'usage: ' in said and message in said.replace("'", '')
