import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.host import gt_labels, pred_scores
from mmcls_repmlp.jobs.reparameterize_model import reparameterize_checkpoint
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.data import open_loader
from mmcls_repmlp.jobs.testing.test import test as run_test
from mmcls_repmlp.jobs.train.train import train
from repmlp_lite.command_line.choices import METRICS
from repmlp_lite.errors import JobFailedError, UserError
from tests.helpers import assert_same, load_model

ROOT = 'test_dataloader.dataset.data_root'


@pytest.fixture
def score(project, work_dir):
    """Test the trained model, with settings changed in the config."""

    def run(options=None,
            config=project.config,
            checkpoint=project.trained,
            **arguments):
        given = dict(work_dir=work_dir, cfg_options=options, **arguments)
        return run_test(config, checkpoint, **given)

    return run


@pytest.mark.parametrize('tta', [False, True])
def test_all_metrics_to_a_file(score, tmp_path, work_dir, tta):
    out = tmp_path / 'metrics.json'
    wanted = dict(metrics=METRICS, metric_options=dict(topk=[1, 5]), tta=tta)
    results = score(out=out, out_item='metrics', **wanted)
    assert json.loads(out.read_text()) == pytest.approx(results)
    assert results.keys() == {
        'accuracy/top1', 'accuracy/top5', 'single-label/precision',
        'single-label/recall', 'single-label/f1-score', 'single-label/support'
    }
    assert results['single-label/support'] == 20
    assert read_matrix(work_dir)[1].trace() / 20 == pytest.approx(
        results['accuracy/top1'] / 100)


def test_flips_are_added_before_packing(project, seen):
    plain = seen(run_test, project.config, project.trained)
    cfg = seen(run_test, project.config, project.trained, tta=True)
    *steps, augment = cfg.test_dataloader.dataset.pipeline
    *before, pack = plain.test_dataloader.dataset.pipeline
    assert steps == before
    assert [flip.prob for flip in augment.transforms[0]] == [1., 0.]
    assert augment.transforms[1] == [pack]
    assert cfg.model.module == plain.model


@pytest.mark.parametrize(('arguments', 'message'), [
    (dict(out='a.csv', out_item='metrics'), 'suffix for the metrics: .*.json'),
    (dict(out='there.pkl'), 'force=True'),
    (dict(tta=True, show_dir='x'), 'choose one'),
    (dict(launcher='pytorch'), 'torchrun'),
    (dict(options=dict(test_dataloader=None)), 'has no test_dataloader'),
    (dict(options={'test_dataloader.dataset.pipeline.1.scale': 40}),
     'images of 40x40 do not fit img_size'),
    (dict(metrics=['recall'],
          metric_options=dict(average='weighted')), 'Invalid `average`'),
])
def test_what_cannot_be_tested(score, tmp_path, monkeypatch, arguments,
                               message):
    monkeypatch.chdir(tmp_path)
    if 'metrics' in arguments:
        monkeypatch.setattr(Runner, 'test', None)  # before the first batch
    (tmp_path / 'there.pkl').write_text('precious')
    with pytest.raises(UserError, match=message):
        score(**arguments)
    assert (tmp_path / 'there.pkl').read_text() == 'precious'


def test_averaged_weights_are_tested_in_both_forms(project, score, tmp_path):
    # What EMA leaves in a deploy file makes mmcls' hook crash later.
    ema = {
        'custom_hooks': [dict(type='EMAHook', momentum=0.5)],
        'train_cfg.max_epochs': 1
    }
    train(
        project.config,
        str(tmp_path / 'ema'),
        seed=0,
        cfg_options=ema,
        no_test=True)
    trained, merged = tmp_path / 'ema' / 'epoch_1.pth', tmp_path / 'm.pth'
    averaged = read_checkpoint(trained)
    key = 'backbone.stages.0.0.repmlp_block.fc3.weight'
    assert not averaged['state_dict'][key].equal(
        averaged['ema_state_dict'][f'module.{key}'])
    reparameterize_checkpoint(project.config, trained, merged)
    scores, out = [], tmp_path / 'predictions.pkl'
    for pair in (project.config, trained), (project.deploy_config, merged):
        score(ema, *pair, out=out, force=True)
        predicted = pickle.loads(out.read_bytes())
        scores.append(torch.stack([pred_scores(each) for each in predicted]))
    assert_same(*scores, 2e-5)


@pytest.fixture(scope='module')
def expected(project):
    """Counts of the model alone, image by image."""
    model = load_model(project.config, project.trained)
    counts = torch.zeros(10, 10, dtype=torch.long)
    for sample in open_loader(read_config(project.config), 'test').dataset:
        with torch.no_grad():
            scores = model((sample['inputs'][None].float() - 78) / 96)
        counts[gt_labels(sample['data_samples']), scores.argmax()] += 1
    assert counts.sum() > counts.trace() > 0
    return counts


def read_matrix(work_dir):
    """Read the matrix of a test, and the names of its classes."""
    table, = Path(work_dir).glob('*/confusion_matrix.csv')
    assert table.with_suffix('.png').is_file()
    head, *rows = [
        line.split(',') for line in table.read_text('utf-8-sig').splitlines()
    ]
    return head[1:], torch.tensor([[*map(int, row[1:])] for row in rows])


def test_a_missing_class_does_not_move_the_others(score, expected, data,
                                                  work_dir):
    shutil.rmtree(data / 'val' / '3')
    top1 = score({ROOT: str(data)})['accuracy/top1']
    names, counts = read_matrix(work_dir)
    assert names == [*'0123456789']
    assert counts.equal(expected * (torch.arange(10)[:, None] != 3))
    assert top1 == pytest.approx(100 * int(counts.trace()) / 18, abs=1e-4)
    (data / 'val' / '4').rename(data / 'val' / 'cat')
    with pytest.raises(UserError, match=r'1 of the 9 classes .*\(cat\)'):
        score({ROOT: str(data)})


def test_an_image_that_cannot_be_read(score, data):
    (data / 'val' / '5' / 'a.png').write_bytes(b'')
    with pytest.raises(JobFailedError, match="^image '.*/5/a.png' cannot be"):
        score({ROOT: str(data), 'test_dataloader.num_workers': 1})


def test_pictures_of_every_image(score, data, tmp_path):
    for label in range(1, 10):
        shutil.rmtree(data / 'val' / str(label))
    shown = tmp_path / 'shown'
    score({ROOT: str(data)}, show_dir=str(shown))
    names = sorted(path.name for path in shown.iterdir())
    assert [name[:2] for name in names] == ['0_', '0_']


def test_flips_are_averaged_for_class_scores_only(project):
    wrapped = dict(
        type='RepeatDataset',
        _delete_=True,
        times=1,
        dataset=dict(type='ImageFolder', data_root=str(project.data / 'val')))
    for options in ({
            'model.head.type': 'AMSoftmaxClsHead'
    }, {
            'test_dataloader.dataset': wrapped
    }):
        with pytest.raises(UserError, match='tta.* averages scores of class'):
            run_test(
                project.config, project.trained, tta=True, cfg_options=options)


def test_tested_images_that_were_trained_on_are_warned_of(
        project, work_dir, capsys):
    for folder, warned in (('train', True), ('val', False)):
        run_test(
            project.config,
            project.trained,
            data=project.data / folder,
            work_dir=work_dir)
        words = 'images to test were trained on: scores on them say nothing'
        assert (words in capsys.readouterr().err) is warned
