import json
import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
import torch.distributed as dist
from mmengine.hooks import Hook
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.host import HOOKS
from mmcls_repmlp.jobs.shared import work_dir as work_dir_module
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.work_dir import lock_work_dir
from mmcls_repmlp.jobs.train.train import describe_failure, train
from repmlp_lite.errors import JobFailedError, UserError
from tests.helpers import assert_same, load_model


@pytest.fixture
def fit(project, work_dir):
    """Train on the digits, with settings changed in the config."""

    def run(options=None, no_test=True, **arguments):
        return train(
            project.config,
            work_dir,
            cfg_options=options,
            no_test=no_test,
            **arguments)

    return run


@pytest.fixture
def finished(project, work_dir):
    """The work folder of a finished training."""
    return Path(shutil.copytree(project.work_dir, work_dir))


def test_trains_validates_and_saves(project):
    checkpoint = read_checkpoint(project.trained)
    assert checkpoint['meta']['epoch'] == 2
    assert checkpoint['meta']['dataset_meta']['classes'] == tuple('0123456789')
    hub = checkpoint['message_hub']['log_scalars']
    losses = hub['train/loss']['log_history']
    assert sum(losses[-3:]) < sum(losses[:3])  # the last and the first epoch
    assert 'val/accuracy/top1' in hub


def test_the_newest_whole_checkpoint_is_resumed_until_all_is_done(
        fit, finished):
    newest = finished / 'epoch_2.pth'
    newest.write_bytes(newest.read_bytes()[:-100])
    fit(resume='auto')
    logs = ''.join(path.read_text() for path in finished.glob('*/*.log'))
    assert 'skipped as damaged: epoch_2.pth' in logs
    config, = finished.glob('*.py')
    before = newest.read_bytes(), config.read_bytes()
    model = fit({'optim_wrapper.optimizer.lr': 7.}, resume='auto')
    log = sorted(finished.glob('*/*.log'))[-1].read_text()
    assert log.splitlines()[-1].endswith(
        'is from a finished training run: 2 epochs of 2 in train_cfg are done'
        ', nothing is left to do')
    assert (newest.read_bytes(), config.read_bytes()) == before
    weights = read_checkpoint(newest)['state_dict']
    assert_same([*model.state_dict().values()], [*weights.values()], 0)


def test_the_best_checkpoint_is_tested_at_the_end(fit, work_dir, capsys):
    best = {'default_hooks.checkpoint.save_best': 'accuracy/top1'}
    fit(best, no_test=False)
    said = capsys.readouterr().out
    name = re.search(r'testing .*/(best_accuracy_top1_epoch_\d.pth)\n', said)
    assert Path(work_dir, name[1]).exists()
    results, = Path(work_dir).glob('*/results.json')
    score = json.loads(results.read_text())['scores']['accuracy/top1']
    log = next(Path(work_dir).glob('*/vis_data/scalars.json')).read_text()
    assert score == max(
        json.loads(line).get('accuracy/top1', 0) for line in log.splitlines())
    assert Path(work_dir, 'curves.png').exists()


def test_an_epoch_of_one_iteration_has_no_room_to_warm_up(fit, work_dir):
    warm_up = dict(type='LinearLR', end=2, convert_to_iter_based=True)
    rest = dict(type='CosineAnnealingLR', begin=2, convert_to_iter_based=True)
    fit(dict(param_scheduler=[warm_up, rest]), epochs=1, batch_size=40)
    assert Path(work_dir, 'epoch_1.pth').exists()


def test_a_run_that_waited_for_another_does_not_replace_it(
        fit, work_dir, monkeypatch):

    @contextmanager
    def lock(folder):
        Path(folder).mkdir()
        Path(folder, 'epoch_1.pth').write_bytes(b'of another run')
        yield

    monkeypatch.setattr('mmcls_repmlp.jobs.train.train.lock_work_dir', lock)
    with pytest.raises(UserError, match='saved checkpoints in .* meanwhile'):
        fit(epochs=1)
    assert Path(work_dir, 'epoch_1.pth').read_bytes() == b'of another run'


def test_a_run_of_a_json_config_leaves_one_of_python(project, work_dir):
    cfg = read_config(project.config, {'train_cfg.max_epochs': 1})
    path = Path(f'{work_dir}.json')
    path.write_text(json.dumps(cfg.to_dict()))
    train(path, work_dir)
    recorded, = Path(work_dir).glob('*.py')
    assert not [*Path(work_dir).glob('*.json')]
    train(recorded, work_dir, epochs=2, resume='auto', new_schedule=True,
          no_test=True)  # yapf: disable


def test_resumed_in_another_folder_there_may_be_no_best_one(
        project, work_dir, tmp_path):
    best = {'default_hooks.checkpoint.save_best': 'accuracy/top1'}
    first = str(tmp_path / 'first')
    train(project.config, first, epochs=1, cfg_options=best, no_test=True)
    train(project.config, work_dir, epochs=2, cfg_options=best,
          resume=f'{first}/epoch_1.pth', new_schedule=True)  # yapf: disable
    assert [*Path(work_dir).glob('*/results.json')]


def test_without_pictures_or_a_test(fit, work_dir):
    fit(epochs=1, no_test=False, pictures=False)
    assert not [*Path(work_dir).rglob('*.png')]
    assert [*Path(work_dir).glob('*/results.json')]


def test_a_test_that_would_fail_is_refused_before_training(fit, work_dir):
    options = {'test_dataloader.dataset.data_root': 'nowhere'}
    with pytest.raises(UserError, match="test data set in 'nowhere'"):
        fit(options, no_test=False)
    assert not [*Path(work_dir).glob('*.pth')]
    fit(options, epochs=1)


def test_a_test_that_fails_keeps_the_training_run(fit, work_dir, monkeypatch):
    monkeypatch.setattr('mmcls_repmlp.jobs.train.train.test',
                        Mock(side_effect=UserError('no space')))
    words = 'training run is done, but the test of .*epoch_1.pth failed: no sp'
    with pytest.raises(JobFailedError, match=words):
        fit(epochs=1, no_test=False)
    assert Path(work_dir, 'epoch_1.pth').exists()


def test_training_anew_over_another_is_refused(fit, finished):
    before = sorted(finished.iterdir())
    for resume in (None, f'{finished}/epoch_1.pth'):
        with pytest.raises(UserError, match='epoch_2.pth of another train'):
            fit(resume=resume)
    assert sorted(finished.iterdir()) == before
    fit({'train_cfg.max_epochs': 1}, force=True)
    assert [path.name for path in finished.glob('*.pth')] == ['epoch_1.pth']


@pytest.mark.parametrize('key', ['load_from', 'model.backbone.init_cfg'])
def test_what_a_run_starts_from_is_not_removed(fit, finished, key):
    start = str(finished / 'epoch_2.pth')
    value = start if key == 'load_from' else dict(
        type='Pretrained', checkpoint=start, prefix='backbone.')
    with pytest.raises(UserError, match='force.* would remove .*epoch_2.pth'):
        fit({key: value}, force=True)
    assert Path(start).exists() and [*finished.glob('*.py')]


def test_a_finished_run_removes_nothing(fit, finished, tmp_path):
    before = sorted(finished.glob('*.p*'))
    elsewhere = shutil.copy(finished / 'epoch_2.pth', tmp_path / 'other.pth')
    fit(resume=str(elsewhere), force=True)
    assert sorted(finished.glob('*.p*')) == before


def test_two_training_runs_in_one_folder(fit, work_dir, monkeypatch):
    monkeypatch.setattr(work_dir_module, 'PATIENCE', 0)
    with lock_work_dir(work_dir), \
            pytest.raises(UserError, match='another training run uses'):
        fit()


@HOOKS.register_module()
class FailingHook(Hook):
    """Fail in the second epoch of three images' worth."""

    def __init__(self, kind):
        self.kind = kind

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.epoch == 1 and self.kind == 'nan':
            runner.model.head.fc.bias.data[0] = torch.nan
        elif runner.epoch == 1:
            raise dict(
                stop=KeyboardInterrupt, defect=ZeroDivisionError)[self.kind]


@pytest.mark.parametrize(
    ('kind', 'error', 'words'),
    [('stop', KeyboardInterrupt, ''),
     ('defect', JobFailedError,
      'training failed in iteration 4: ZeroDivisionError; '),
     ('nan', JobFailedError, 'the loss is NaN or infinite since iteration 4: '
      r'.*\(optim_wrapper.clip_grad\); ')])
def test_a_failure_names_the_last_checkpoint(fit, work_dir, kind, error,
                                             words):
    left = (f'^{words}{work_dir}/epoch_1.pth is the last whole checkpoint, '
            'option `resume=...` continues from it$')
    hooks = dict(custom_hooks=[dict(type='FailingHook', kind=kind)])
    with pytest.raises(error, match=left):
        fit(hooks)
    assert read_checkpoint(f'{work_dir}/epoch_1.pth')['meta']['epoch'] == 1


def test_arguments_reach_the_config(project, seen, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    flags = dict(no_validate=True, auto_scale_lr=True, amp=True, seed=7)
    options = {'train_cfg.max_epochs': 5}
    cfg = seen(train, project.config, 'x', cfg_options=options, **flags)
    assert cfg.work_dir == 'x'
    assert cfg.val_dataloader is cfg.val_cfg is cfg.val_evaluator is None
    assert cfg.randomness.seed == 7
    assert cfg.auto_scale_lr.enable
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert cfg.optim_wrapper.loss_scale == 'dynamic'
    assert cfg.train_dataloader.pin_memory
    assert cfg.train_cfg.max_epochs == 5
    assert not cfg.resume and cfg.load_from is None


def test_mixed_precision_on_a_cpu(fit, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    seen, forward = set(), torch.nn.functional.linear

    def linear(x, weight, bias=None):
        out = forward(x, weight, bias)
        if torch.is_grad_enabled():
            seen.add(out.dtype)
        return out

    monkeypatch.setattr(torch.nn.functional, 'linear', linear)
    gpu = dict(type='AmpOptimWrapper', loss_scale='dynamic', dtype='float16')
    options = dict(optim_wrapper=gpu, train_cfg=dict(max_epochs=1))
    model = fit(options, amp=True, no_validate=True)
    assert torch.bfloat16 in seen
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_mixed_precision_is_resumed_from_the_recorded_config(fit, work_dir):
    fit(amp=True, epochs=1)
    recorded, = Path(work_dir).glob('*.py')
    train(recorded, work_dir, amp=True, epochs=2, resume='auto',
          new_schedule=True)  # yapf: disable
    assert Path(work_dir, 'epoch_2.pth').exists()


def test_checkpoints_are_checked_before_anything_starts(
        fit, project, work_dir):
    with pytest.raises(UserError, match='no training state to resume'):
        fit(resume=str(project.merged))
    assert not Path(work_dir).exists()


@pytest.mark.parametrize(('options', 'arguments', 'message'), [
    ({
        'model.head.num_classes': 12
    }, dict(resume='TRAINED'), 'another number of classes'),
    (dict(load_from='BACKBONE'), {}, 'does not fit the model'),
    ({
        'optim_wrapper.optimizer': dict(
            type='SGD', lr=0.1, weight_decay=0., _delete_=True),
        'train_cfg.max_epochs': 3
    }, dict(resume='TRAINED'), 'with another optimizer'),
])
def test_options_that_do_not_go_together_are_refused(fit, project, tmp_path,
                                                     options, arguments,
                                                     message):
    # A backbone's weights without the prefix would leave all at random.
    weights = load_model(project.config, project.trained).backbone
    torch.save(weights.state_dict(), tmp_path / 'backbone.pth')
    files = dict(
        TRAINED=str(project.trained), BACKBONE=str(tmp_path / 'backbone.pth'))
    options, arguments = ({
        name: files.get(str(value), value)
        for name, value in given.items()
    } for given in (options, arguments))
    with pytest.raises(UserError, match=message):
        fit(options, **arguments)


def test_unused_parameters_have_their_remedy(tmp_path):
    dist.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
    try:
        model = DistributedDataParallel(
            nn.ModuleDict(dict(used=nn.Linear(2, 2), unused=nn.Linear(2, 2))))
        model.module.forward = lambda x: model.module['used'](x).sum()
        model(torch.ones(1, 2)).backward()
        with pytest.raises(RuntimeError) as caught:
            model(torch.ones(1, 2))
    finally:
        dist.destroy_process_group()
    assert describe_failure(
        caught.value).endswith('set find_unused_parameters=True in the config')
