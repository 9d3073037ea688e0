"""The tools of every day as programs: arguments, output, exit codes."""
from pathlib import Path

import pytest
from mmengine.config import Config

from tests.programs import call
from tests.tools.test_tools import CONVERT, OFFICIAL, RESIZE

PRINT, BROWSE = 'misc/print_config.py', 'visualizations/browse_dataset.py'
FLOPS = 'analysis_tools/get_flops.py'
LOGS = 'analysis_tools/analyze_logs.py'
MATRIX = 'analysis_tools/confusion_matrix.py'
PUBLISH = 'convert_models/publish_model.py'
DEMO = '../demo/image_demo.py'
LOCALITY = 'visualizations/vis_locality.py'
CAM = 'visualizations/vis_cam.py'


def test_print_config(project, tmp_path, capsys):
    assert call(PRINT, project.config, '--save-path', tmp_path / 'a.py',
                '--cfg-options', 'model.head.num_classes=7') == 0
    printed = capsys.readouterr().out
    assert Config.fromstring(printed, '.py').model.head.num_classes == 7
    assert call(PRINT, tmp_path / 'a.py') == 0
    assert capsys.readouterr().out == printed


def test_browse_dataset(project, tmp_path, capsys):
    assert call(BROWSE, project.config, tmp_path, '--phase', 'val', '-n', 3,
                '--mode', 'concat') == 0
    assert capsys.readouterr().out == f'3 pictures in {tmp_path}\n'
    assert len(list(tmp_path.glob('*.png'))) == 3


def test_analyze_logs(project, tmp_path, capsys):
    log, = project.work_dir.glob('*/vis_data/scalars.json')
    out = tmp_path / 'a.png'
    assert call(LOGS, log, log, '--keys', 'loss', '--legend', 'one', 'two',
                '--out', out) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0], lines[3]) == ('one', 'two') and out.exists()


def test_confusion_matrix(project, tmp_path, capsys):
    for name in ('a.png', 'a.csv'):
        assert call(MATRIX, project.config, project.trained, '--out',
                    tmp_path / name, '--include-values') == 0
        assert '20 images, top-1 ' in capsys.readouterr().out
        assert (tmp_path / name).exists()


def test_publish_model(project, tmp_path, capsys):
    assert call(PUBLISH, project.trained, tmp_path / 'a.pth') == 0
    name = capsys.readouterr().out.split(' (')[0]
    assert Path(name).exists() and name.startswith(str(tmp_path / 'a-'))


@pytest.mark.parametrize('form', ['trained', 'merged'])
def test_image_demo(project, tmp_path, capsys, form):
    config = dict(trained=project.config, merged=project.deploy_config)[form]
    image = next(project.data.glob('val/7/*.png'))
    assert call(DEMO, image, config, getattr(project, form), '--out',
                tmp_path / 'a.png') == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7 and lines[1].endswith('%')


@pytest.mark.parametrize('config', [True, False])
def test_image_demo_of_many(project, tmp_path, capsys, config):
    images = [next(project.data.glob(f'val/{i}/*.png')) for i in (7, 3)]
    assert call(DEMO, *images, '--top-k', 2, *[project.config] * config,
                '--batch-size', 1, project.trained) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(': ')[0] for line in lines] == [*map(str, images)]
    assert all(line.count('%') == 2 for line in lines)
    assert call(DEMO, *images, *[project.config] * config, project.trained,
                '--out', tmp_path / 'a.csv') == 0
    assert len((tmp_path / 'a.csv').read_text().splitlines()) == 3


def test_image_demo_without_an_image(project, capsys):
    with pytest.raises(SystemExit):
        call(DEMO, project.config, project.trained)
    assert 'name an image before' in capsys.readouterr().err


def test_vis_locality(project, tmp_path, capsys):
    assert call(LOCALITY, project.config, project.trained, tmp_path / 'a.png',
                '--block', '1.0', '--position', 0, 3, '--shareset', 7,
                '--over-training', project.work_dir / 'epoch_1.pth') == 0
    assert capsys.readouterr().out.count('lies within 3x3 before') == 2
    assert (tmp_path / 'a.png').exists()


@pytest.mark.parametrize('config', [True, False])
def test_vis_cam(project, tmp_path, capsys, config):
    images = [next(project.data.glob(f'val/{i}/*.png')) for i in (7, 3)]
    assert call(CAM, *images, *[project.config] * config, '--method',
                'scorecam', '--layer', 'stages.1', '--target', 3, '--out',
                tmp_path / 'a.png', project.trained) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(': ')[0] for line in lines[:2]] == [*map(str, images)]
    assert lines[2:] == [f'drawn to {tmp_path / "a.png"}']
    assert (tmp_path / 'a.png').exists()


def test_vis_cam_without_an_image(project, capsys):
    with pytest.raises(SystemExit):
        call(CAM, project.config, project.trained, '--out', 'a.png')
    assert 'name an image before' in capsys.readouterr().err


def test_vis_cam_without_its_library(project, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('mmcls_repmlp.apis._shared.activation_map.find_spec',
                        lambda _: None)
    assert call(CAM, tmp_path, project.trained, '--out', 'a.png') == 2
    error = capsys.readouterr().err
    assert 'pip install "mmcls_repmlp[cam]"' in error


@pytest.mark.parametrize(('tool', 'argv', 'message'), [
    ('train.py', ['no.py'], "config 'no.py' does not exist"),
    ('test.py', ['no.py', 'TRAINED'], "config 'no.py' does not exist"),
    (CONVERT, ['CONFIG', 'TRAINED', 'MERGED'], '--force'),
    (OFFICIAL, ['TRAINED', 'WORK/x.pth'
                ], 'has the names of OpenMMLab already'),
    (RESIZE, ['CONFIG', 'TRAINED', 'MERGED', '--to', '48'], '--force'),
    (FLOPS, ['CONFIG', '--shape', '40'], 'images of 40x40 do not fit'),
    (PRINT, ['no.py'], "config 'no.py' does not exist"),
    (BROWSE, ['CONFIG', 'CONFIG'], 'is a file: name a folder'),
    (LOGS, ['CONFIG'], 'is no log of mmengine'),
    (MATRIX, ['CONFIG', 'pred.pkl'], 'a pickle of predictions can run code'),
    (PUBLISH, ['no.pth', 'WORK/a.pth'], "'no.pth' does not exist"),
    (DEMO, ['no.png', 'CONFIG', 'TRAINED'], "'no.png' does not exist"),
    (LOCALITY, ['CONFIG', 'MERGED', 'WORK/a.png'], 'cannot be told apart'),
    (CAM, ['no.png', 'TRAINED', '--out', 'WORK/a.png'], "'no.png' does not"),
    (CAM, ['CONFIG.png', '--out', 'a.txt', 'TRAINED'], 'does not exist'),
])
def test_what_the_user_must_mend_is_one_sentence_and_code_2(
        project, tmp_path, capsys, tool, argv, message):
    paths = dict(
        CONFIG=project.config, TRAINED=project.trained, MERGED=project.merged)
    argv = [str(paths.get(a, a)).replace('WORK', str(tmp_path)) for a in argv]
    assert call(tool, *argv) == 2
    error, = capsys.readouterr().err.splitlines()
    assert 'error: ' in error and message in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(('tool', 'argv'),
                         [(BROWSE, ['a', 'b', '--phase', 'none']),
                          (BROWSE, ['a', 'b', '-n', 'x']),
                          (LOCALITY, ['a', 'b', 'c', '--position', '1']),
                          (LOGS, []), (CAM, ['a', 'b']),
                          (CAM, ['a', 'b', '--out', 'c', '--method', 'no'])])
def test_wrong_options_are_refused_by_the_parser(capsys, tool, argv):
    with pytest.raises(SystemExit) as exit_:
        call(tool, *argv)
    assert exit_.value.code == 2
    assert 'usage: ' in capsys.readouterr().err
