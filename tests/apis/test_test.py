import json
import pickle
import shutil

import pytest
import torch
from mmengine.runner import Runner

from mmcls_repmlp.apis.reparameterize_model import reparameterize_checkpoint
from mmcls_repmlp.apis.test import METRICS
from mmcls_repmlp.apis.test import test as run_test
from mmcls_repmlp.apis.train import train
from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.errors import CheckpointError, JobFailedError, UserError
from mmcls_repmlp.host import pred_labels, pred_scores
from tests.helpers import assert_same


def test_all_metrics_to_a_file(project, work_dir, tmp_path):
    out = tmp_path / 'metrics.json'
    results = run_test(
        project.config,
        project.trained,
        METRICS,
        dict(topk=[1, 5]),
        out=out,
        out_item='metrics',
        work_dir=work_dir)
    assert json.loads(out.read_text()) == pytest.approx(results)
    assert results.keys() == {
        'accuracy/top1', 'accuracy/top5', 'single-label/precision',
        'single-label/recall', 'single-label/f1-score', 'single-label/support'
    }
    assert results['single-label/support'] == 20


def test_predictions_to_a_file(project, work_dir, tmp_path):
    out = tmp_path / 'predictions.pkl'
    run_test(project.config, project.trained, out=out, work_dir=work_dir)
    predictions = pickle.loads(out.read_bytes())
    assert len(predictions) == 20
    assert pred_scores(predictions[0]).shape == (10, )
    assert [path.name for path in tmp_path.iterdir()
            if path.is_file()] == ['predictions.pkl']


def test_averaging_over_flips(project, work_dir):
    results = run_test(
        project.config,
        project.trained, ['accuracy'],
        tta=True,
        work_dir=work_dir)
    assert 'accuracy/top1' in results


def test_flips_are_added_before_packing(project, seen):
    plain = seen(run_test, project.config, project.trained)
    cfg = seen(run_test, project.config, project.trained, tta=True)
    *steps, augment = cfg.test_dataloader.dataset.pipeline
    *before, pack = plain.test_dataloader.dataset.pipeline
    assert steps == before
    assert [flip.prob for flip in augment.transforms[0]] == [1., 0.]
    assert augment.transforms[1] == [pack]
    assert cfg.model.module == plain.model


@pytest.mark.parametrize(('metrics', 'options', 'expected'), [
    (['accuracy'], {}, [dict(type='Accuracy')]),
    ([], dict(topk=1), [dict(type='Accuracy', topk=1)]),
    (['recall', 'f1_score'], dict(average=None), [
        dict(
            type='SingleLabelMetric',
            items=('recall', 'f1-score'),
            average=None)
    ]),
    (['accuracy', 'recall'], dict(topk=[1, 5], thrs=0.5), [
        dict(type='Accuracy', topk=(1, 5), thrs=0.5),
        dict(type='SingleLabelMetric', items=('recall', ), thrs=0.5)
    ]),
])
def test_metrics_become_evaluators_of_mmcls(project, seen, metrics, options,
                                            expected):
    cfg = seen(run_test, project.config, project.trained, metrics, options)
    assert cfg.test_evaluator == expected


@pytest.mark.parametrize(('arguments', 'message'), [
    (dict(metrics=['mAP']), "'mAP' is unknown: choose from accuracy, "),
    (dict(metrics=['accuracy'], metric_options=dict(average='micro')),
     "'average' is none of accuracy: choose from thrs, topk"),
    (dict(out='a.txt'), r"'a.txt'` cannot hold pred: .* .pkl, .pickle"),
    (dict(out='a.csv', out_item='metrics'), r'cannot hold metrics: .*.json'),
    (dict(tta=True, show_dir='x'), 'choose one'),
    (dict(cfg_options=dict(test_dataloader=None)), 'has no test_dataloader'),
])
def test_wrong_arguments_are_refused_in_words(project, arguments, message):
    with pytest.raises(UserError, match=message):
        run_test(project.config, project.trained, **arguments)


def test_averaged_weights_are_tested_in_both_forms(project, tmp_path):
    # What EMA leaves in a deploy file makes mmcls' hook crash later.
    ema = dict(
        cfg_options={
            'custom_hooks': [dict(type='EMAHook', momentum=0.5)],
            'train_cfg.max_epochs': 1
        })
    train(project.config, work_dir=str(tmp_path / 'work'), seed=0, **ema)
    trained, merged = tmp_path / 'work' / 'epoch_1.pth', tmp_path / 'm.pth'
    averaged = read_checkpoint(trained)
    key = 'backbone.stages.0.0.repmlp_block.fc3.weight'
    assert not averaged['state_dict'][key].equal(
        averaged['ema_state_dict'][f'module.{key}'])
    reparameterize_checkpoint(project.config, trained, merged)
    outs = [tmp_path / f'{i}.pkl' for i in range(2)]
    for out, config, checkpoint in zip(outs,
                                       (project.config, project.deploy_config),
                                       (trained, merged)):
        run_test(config, checkpoint, out=out, work_dir=str(tmp_path), **ema)
    scores = [
        torch.stack([pred_scores(p) for p in pickle.loads(out.read_bytes())])
        for out in outs
    ]
    assert_same(*scores, 2e-5)


def test_files_are_not_overwritten(project, tmp_path):
    out = tmp_path / 'a.pkl'
    out.write_text('precious')
    with pytest.raises(UserError, match='force=True'):
        run_test(project.config, project.trained, out=out)
    assert out.read_text() == 'precious'


def test_checkpoints_that_do_not_fit_are_refused(project, work_dir, tmp_path):
    for config, checkpoint, message in ((project.deploy_config,
                                         project.trained, 'training form'),
                                        (project.config, project.merged,
                                         'already converted')):
        with pytest.raises(CheckpointError, match=message):
            run_test(config, checkpoint, work_dir=work_dir)
    with pytest.raises(CheckpointError, match='another number of classes'):
        run_test(
            project.config,
            project.trained,
            work_dir=work_dir,
            cfg_options={'model.head.num_classes': 7})
    with pytest.raises(UserError, match='images of 40x40 do not fit img_size'):
        run_test(
            project.config,
            project.trained,
            work_dir=work_dir,
            cfg_options={'test_dataloader.dataset.pipeline.1.scale': 40})


@pytest.fixture
def nine(data):
    """The digits to test on without 3, and options that name them."""
    shutil.rmtree(data / 'val' / '3')
    return data / 'val', {'test_dataloader.dataset.data_root': str(data)}


def test_a_missing_class_does_not_move_the_others(project, work_dir, tmp_path,
                                                  nine):
    out = tmp_path / 'all.pkl'
    run_test(project.config, project.trained, out=out, work_dir=work_dir)
    kept = [
        sample for sample in pickle.loads(out.read_bytes())
        if '/3/' not in sample['img_path']
    ]
    right = [
        int(pred_labels(sample)[0]) == int(sample['img_path'].split('/')[-2])
        for sample in kept
    ]
    results = run_test(
        project.config,
        project.trained,
        work_dir=work_dir,
        cfg_options=nine[1])
    assert len(right) == 18
    assert results['accuracy/top1'] == pytest.approx(
        100 * sum(right) / 18, abs=1e-4)


def test_a_class_that_nobody_learnt(project, work_dir, nine):
    images, options = nine
    (images / '4').rename(images / 'cat')
    with pytest.raises(UserError, match=r'1 of the 9 classes .*\(cat\)'):
        run_test(
            project.config,
            project.trained,
            work_dir=work_dir,
            cfg_options=options)


@pytest.mark.parametrize('workers', [0, 1])
def test_an_image_that_cannot_be_read(project, work_dir, nine, workers):
    images, options = nine
    (images / '5' / 'a.png').write_bytes(b'')
    with pytest.raises(
            JobFailedError,
            match=r"^image '.*/5/a.png' cannot be "
            'read: the file is empty$'):
        run_test(
            project.config,
            project.trained,
            work_dir=work_dir,
            cfg_options={
                **options, 'test_dataloader.num_workers': workers
            })


def test_pictures_of_images_of_one_name(project, work_dir, tmp_path):
    for label in range(2):
        folder = tmp_path / 'data' / 'val' / str(label)
        (folder / 'more of it').mkdir(parents=True)
        images = sorted((project.data / 'val' / str(label)).iterdir())
        shutil.copy(images[0], folder / 'a.png')
        shutil.copy(images[1], folder / 'more of it' / 'a.png')
    shown = tmp_path / 'shown'
    arguments = dict(
        work_dir=work_dir,
        show_dir=str(shown),
        cfg_options={
            'test_dataloader.dataset.data_root': str(tmp_path / 'data')
        })
    run_test(project.config, project.trained, **arguments)
    names = sorted(path.name for path in shown.iterdir())
    assert names == [
        '0_a.png.png', '0_more of it_a.png.png', '1_a.png.png',
        '1_more of it_a.png.png'
    ]
    with pytest.raises(UserError, match='is not empty: .*force=True'):
        run_test(project.config, project.trained, **arguments)
    run_test(project.config, project.trained, **arguments, force=True)
    assert sorted(path.name for path in shown.iterdir()) == names


@pytest.mark.parametrize(
    'options',
    [dict(topk=[1, 11]), dict(average='weighted')])
def test_metrics_are_tried_before_the_first_batch(project, work_dir,
                                                  monkeypatch, options):
    monkeypatch.setattr(Runner, 'test', None)
    with pytest.raises(UserError, match='topk=11 is no|Invalid `average`'):
        run_test(
            project.config,
            project.trained, ['accuracy', 'recall'],
            options,
            work_dir=work_dir)


def test_processes_must_be_started(project, work_dir, monkeypatch):
    monkeypatch.delenv('RANK', raising=False)
    with pytest.raises(UserError, match='torchrun'):
        run_test(
            project.config,
            project.trained,
            work_dir=work_dir,
            launcher='pytorch')
