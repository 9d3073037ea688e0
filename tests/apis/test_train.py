import shutil
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook

from mmcls_repmlp.apis._before_training import work_dir as work_dir_module
from mmcls_repmlp.apis._before_training.work_dir import reserved
from mmcls_repmlp.apis._shared.model import load_model
from mmcls_repmlp.apis.train import train
from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.errors import CheckpointError, JobFailedError, UserError
from mmcls_repmlp.host import HOOKS


def test_trains_validates_and_saves(project):
    checkpoint = read_checkpoint(project.trained)
    assert checkpoint['meta']['epoch'] == 2
    assert checkpoint['meta']['dataset_meta']['classes'] == tuple('0123456789')
    hub = checkpoint['message_hub']['log_scalars']
    losses = hub['train/loss'].data[0]
    assert sum(losses[-3:]) < sum(losses[:3])  # the last and the first epoch
    assert 'val/accuracy/top1' in hub


def test_a_finished_training_says_so(project, work_dir):
    shutil.copytree(project.work_dir, work_dir)
    before = project.trained.read_bytes()
    model = train(project.config, work_dir, resume='auto')
    log = sorted(Path(work_dir).glob('*/*.log'))[-1].read_text()
    assert log.splitlines()[-1].endswith(
        'is a finished training, of 2 epochs where train_cfg wants 2: '
        'nothing is left to do')
    assert Path(work_dir, 'epoch_2.pth').read_bytes() == before
    weights = read_checkpoint(project.trained)['state_dict']
    assert all(weights[key].equal(value)
               for key, value in model.state_dict().items())


def test_training_anew_over_another_is_refused(project, work_dir):
    shutil.copytree(project.work_dir, work_dir)
    before = sorted(Path(work_dir).iterdir())
    with pytest.raises(UserError, match='epoch_2.pth the newest, which this'):
        train(project.config, work_dir)
    with pytest.raises(UserError, match='epoch_2.pth the newest, which this'):
        train(project.config, work_dir, resume=f'{work_dir}/epoch_1.pth')
    assert sorted(Path(work_dir).iterdir()) == before
    train(
        project.config,
        work_dir,
        force=True,
        cfg_options={'train_cfg.max_epochs': 1})
    assert sorted(path.name
                  for path in Path(work_dir).glob('*.pth')) == ['epoch_1.pth']


def test_a_damaged_newest_one_is_passed_over(project, work_dir):
    shutil.copytree(project.work_dir, work_dir)
    newest = Path(work_dir, 'epoch_2.pth')
    newest.write_bytes(newest.read_bytes()[:-100])
    train(project.config, work_dir, resume='auto')
    logs = ''.join(path.read_text() for path in Path(work_dir).glob('*/*.log'))
    assert 'passed over as damaged: epoch_2.pth' in logs
    assert read_checkpoint(newest)['meta']['epoch'] == 2


def test_another_model_in_the_work_dir_is_refused(project, work_dir):
    shutil.copytree(project.work_dir, work_dir)
    with pytest.raises(
            CheckpointError, match='epoch_2.pth.*another number of '
            'classes'):
        train(
            project.config,
            work_dir,
            resume='auto',
            cfg_options={'model.head.num_classes': 12})


def test_another_optimizer_is_refused_before_training(project, work_dir):
    with pytest.raises(CheckpointError, match='with another optimizer'):
        train(
            project.config,
            work_dir,
            resume=str(project.trained),
            cfg_options={
                'optim_wrapper.optimizer': dict(
                    type='SGD', lr=0.1, weight_decay=0., _delete_=True),
                'train_cfg.max_epochs': 3
            })


def test_two_trainings_in_one_folder(project, work_dir, monkeypatch):
    monkeypatch.setattr(work_dir_module, 'PATIENCE', 0)
    with reserved(work_dir):
        with pytest.raises(UserError, match='another training is running'):
            train(project.config, work_dir)


@HOOKS.register_module()
class FailingHook(Hook):
    """Fail in the second epoch of three images' worth."""

    def __init__(self, kind):
        self.kind = kind

    def before_train_epoch(self, runner):
        if runner.epoch == 1 and self.kind != 'nan':
            raise dict(
                stop=KeyboardInterrupt, defect=ZeroDivisionError)[self.kind]

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.epoch == 1 and self.kind == 'nan':
            runner.model.head.fc.bias.data[0] = torch.nan


@pytest.mark.parametrize(
    ('kind', 'error', 'words'),
    [('stop', KeyboardInterrupt, ''),
     ('defect', JobFailedError,
      'training failed in iteration 4: ZeroDivisionError; '),
     ('nan', JobFailedError, 'the loss is NaN or infinite since iteration 4: '
      r'.*\(optim_wrapper.clip_grad\); ')])
def test_what_is_left_is_said(project, work_dir, kind, error, words):
    with pytest.raises(
            error,
            match=f'^{words}{work_dir}/epoch_1.pth is the '
            'last whole checkpoint, option `resume=...` goes on from it$'):
        train(
            project.config,
            work_dir,
            cfg_options=dict(
                custom_hooks=[dict(type='FailingHook', kind=kind)],
                default_hooks=dict(checkpoint=dict(max_keep_ckpts=1))))
    assert read_checkpoint(f'{work_dir}/epoch_1.pth')['meta']['epoch'] == 1


def test_arguments_reach_the_config(project, seen):
    cfg = seen(
        train,
        project.config,
        work_dir='x',
        no_validate=True,
        seed=7,
        auto_scale_lr=True,
        launcher='none',
        cfg_options={'train_cfg.max_epochs': 5})
    assert cfg.work_dir == 'x'
    assert cfg.val_dataloader is cfg.val_cfg is cfg.val_evaluator is None
    assert cfg.randomness.seed == 7
    assert cfg.auto_scale_lr.enable
    assert cfg.train_cfg.max_epochs == 5
    assert not cfg.resume and cfg.load_from is None


def test_mixed_precision_on_a_gpu(project, seen, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    cfg = seen(train, project.config, amp=True)
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert cfg.optim_wrapper.loss_scale == 'dynamic'
    assert cfg.train_dataloader.pin_memory


@pytest.mark.parametrize('options', [{}, {
    'optim_wrapper.type': 'AmpOptimWrapper',
    'optim_wrapper.loss_scale': 'dynamic',
    'optim_wrapper.dtype': 'float16'
}])
def test_mixed_precision_on_a_cpu(project, tmp_path, monkeypatch, options):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    seen, forward = set(), torch.nn.functional.linear

    def linear(x, weight, bias=None):
        out = forward(x, weight, bias)
        if torch.is_grad_enabled():
            seen.add(out.dtype)
        return out

    monkeypatch.setattr(torch.nn.functional, 'linear', linear)
    model = train(
        project.config,
        str(tmp_path),
        amp=True,
        no_validate=True,
        cfg_options={
            **options, 'train_cfg.max_epochs': 1
        })
    assert torch.bfloat16 in seen
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_mixed_precision_needs_the_plain_wrapper(project):
    options = {'optim_wrapper.type': 'ApexOptimWrapper'}
    with pytest.raises(UserError, match="wrapper 'ApexOptimWrapper'"):
        train(project.config, amp=True, cfg_options=options)


def test_scaling_needs_a_base(project):
    with pytest.raises(UserError, match='auto_scale_lr.base_batch_size'):
        train(
            project.config,
            auto_scale_lr=True,
            cfg_options={'auto_scale_lr.base_batch_size': None})


def test_checkpoints_are_checked_before_anything_starts(project, tmp_path):
    work_dir = tmp_path / 'work'
    with pytest.raises(UserError, match='no training state to resume'):
        train(project.config, str(work_dir), resume=str(project.merged))
    with pytest.raises(CheckpointError, match="'no.pth' does not exist"):
        train(project.config, str(work_dir), resume='no.pth')
    assert not work_dir.exists()


def test_a_schedule_that_begins_when_training_ends(project, tmp_path):
    with pytest.raises(
            UserError,
            match='param_scheduler of the config '
            'cannot be built, or is longer than its train_cfg'):
        train(
            project.config,
            str(tmp_path),
            cfg_options=dict(param_scheduler=[
                dict(type='CosineAnnealingLR', begin=2, by_epoch=True)
            ]))


@pytest.mark.parametrize('resume', [False, True])
def test_what_training_starts_from_must_fit(project, tmp_path, resume):
    start = {} if resume else {'load_from': str(project.trained)}
    options = dict(resume=str(project.trained) if resume else None)
    with pytest.raises(CheckpointError, match='another number of classes'):
        train(
            project.config,
            str(tmp_path),
            **options,
            cfg_options={
                **start, 'model.head.num_classes': 12
            })
    # A backbone's weights without the prefix would leave all at random.
    weights = load_model(project.config, project.trained).backbone
    torch.save(weights.state_dict(), tmp_path / 'backbone.pth')
    with pytest.raises(CheckpointError, match='does not fit the model'):
        train(
            project.config,
            str(tmp_path),
            cfg_options={'load_from': str(tmp_path / 'backbone.pth')})
