import copy

import pytest
import torch
from mmengine.config import Config

from mmcls_repmlp.apis import train as module_under_test
from mmcls_repmlp.apis.model import load_model
from mmcls_repmlp.apis.train import train
from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.errors import CheckpointError, UserError
from tests.helpers import assert_same


@pytest.fixture
def seen(monkeypatch):
    """The config that a runner would be built of."""
    configs = []

    class StoppedError(Exception):
        pass

    def build(cfg):
        configs.append(copy.deepcopy(cfg))
        raise StoppedError

    monkeypatch.setattr(module_under_test, 'build_runner', build)

    def run(*args, **kwargs):
        with pytest.raises(StoppedError):
            train(*args, **kwargs)
        return configs[-1]

    return run


def test_trains_validates_and_saves(project):
    checkpoint = read_checkpoint(project.trained)
    assert checkpoint['meta']['epoch'] == 2
    assert checkpoint['meta']['dataset_meta']['classes'] == tuple('0123456789')
    hub = checkpoint['message_hub']['log_scalars']
    losses = hub['train/loss'].data[0]
    assert sum(losses[-3:]) < sum(losses[:3])  # the last and the first epoch
    assert 'val/accuracy/top1' in hub


@pytest.mark.parametrize('how', ['named', 'latest'])
def test_resuming_equals_training_in_one_go(project, tmp_path, how):
    first, last = (project.work_dir / f'epoch_{i}.pth' for i in (1, 2))
    if how == 'latest':
        (tmp_path / 'epoch_1.pth').write_bytes(first.read_bytes())
        (tmp_path / 'last_checkpoint').write_text(
            str(tmp_path / 'epoch_1.pth'))
    train(project.config, work_dir=str(tmp_path),
          resume='auto' if how == 'latest' else str(first), seed=0)
    expected, resumed = (read_checkpoint(path) for path in (
        last, tmp_path / 'epoch_2.pth'))
    assert resumed['meta']['epoch'] == 2
    # Not the same weights, for the order of images is drawn anew, but the
    # same number of steps from the same state.
    assert expected['meta']['iter'] == resumed['meta']['iter']
    states = [c['optimizer']['state'] for c in (expected, resumed)]
    assert_same(*[torch.stack([s[i]['step'] for i in s]) for s in states])


def test_arguments_reach_the_config(project, seen):
    cfg = seen(project.config, work_dir='x', no_validate=True, seed=7,
               auto_scale_lr=True, launcher='none',
               cfg_options={'train_cfg.max_epochs': 5})
    assert cfg.work_dir == 'x'
    assert cfg.val_dataloader is cfg.val_cfg is cfg.val_evaluator is None
    assert cfg.randomness.seed == 7
    assert cfg.auto_scale_lr.enable
    assert cfg.train_cfg.max_epochs == 5
    assert not cfg.resume and cfg.load_from is None


def test_resuming_the_latest(project, seen):
    cfg = seen(project.config, resume='auto')
    assert cfg.resume and cfg.load_from is None


def test_mixed_precision_on_a_gpu(project, seen, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    cfg = seen(project.config, amp=True)
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert cfg.optim_wrapper.loss_scale == 'dynamic'
    assert cfg.train_dataloader.pin_memory


def test_mixed_precision_needs_a_gpu_and_the_plain_wrapper(monkeypatch):
    cfg = Config(dict(optim_wrapper=dict(type='Other')))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(UserError, match='--amp needs a GPU'):
        module_under_test._enable_amp(cfg)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    with pytest.raises(UserError, match="wrapper 'Other'"):
        module_under_test._enable_amp(cfg)


def test_scaling_needs_a_base(project):
    with pytest.raises(UserError, match='auto_scale_lr.base_batch_size'):
        train(project.config, auto_scale_lr=True,
              cfg_options={'auto_scale_lr.base_batch_size': None})


def test_checkpoints_are_checked_before_anything_starts(project, tmp_path):
    work_dir = tmp_path / 'work'
    with pytest.raises(UserError, match='no training state to resume'):
        train(project.config, str(work_dir), resume=str(project.merged))
    with pytest.raises(CheckpointError, match="'no.pth' does not exist"):
        train(project.config, str(work_dir), resume='no.pth')
    assert not work_dir.exists()


def test_a_schedule_that_begins_when_training_ends(project, tmp_path):
    with pytest.raises(UserError, match='param_scheduler of the config does '
                       'not go with its train_cfg'):
        train(project.config, str(tmp_path), cfg_options=dict(param_scheduler=[
            dict(type='CosineAnnealingLR', begin=2, by_epoch=True)]))


@pytest.mark.parametrize('resume', [False, True])
def test_what_training_starts_from_must_fit(project, tmp_path, resume):
    start = {} if resume else {'load_from': str(project.trained)}
    options = dict(resume=str(project.trained) if resume else None)
    with pytest.raises(CheckpointError, match='another number of classes'):
        train(project.config, str(tmp_path), **options, cfg_options={
            **start, 'model.head.num_classes': 12})
    # A backbone's weights without the prefix would leave all at random.
    weights = load_model(project.config, project.trained).backbone
    torch.save(weights.state_dict(), tmp_path / 'backbone.pth')
    with pytest.raises(CheckpointError, match='does not fit the model'):
        train(project.config, str(tmp_path), cfg_options={
            'load_from': str(tmp_path / 'backbone.pth')})
