import copy
import re
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch.utils.data import DataLoader, TensorDataset

from mmcls_repmlp.jobs.train.resume import (RecordDataHook, Start,
                                            explain_finished, find_start,
                                            load_training_state,
                                            warn_of_other_data)
from repmlp_lite.errors import CheckpointError

STATE = dict(
    state_dict=dict(w=torch.ones(1)),
    message_hub=dict(),
    optimizer=dict(),
    meta=dict(epoch=1, iter=10, seed=4, batches_per_epoch=10))


@pytest.fixture
def config(tmp_path):
    """Write checkpoints of epochs, whole ones or so many bytes of them."""

    def make(*epochs, **options):
        for number, content in dict(epochs).items():
            path = tmp_path / f'epoch_{number}.pth'
            whole = isinstance(content, dict)
            torch.save(content if whole else STATE, path)
            if not whole:
                path.write_bytes(path.read_bytes()[:content])
        return Config(dict(work_dir=str(tmp_path), **options))

    return make


def test_the_newest_whole_one_is_found_by_name(config, tmp_path):
    cfg = config((9, STATE), (10, STATE), (11, 100), (12, 0))
    # As after the folder was moved, or the writing was cut off.
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/epoch_12.pth')
    start = find_start(cfg, 'auto')
    assert start.source == str(tmp_path / 'epoch_10.pth')
    assert 'skipped as damaged: epoch_12.pth, epoch_11.pth' in start.note
    assert start.resumes and start.newest
    assert cfg.resume and cfg.load_from == start.source
    assert cfg.randomness.seed == 4


def test_without_a_checkpoint_training_starts_anew(config):
    cfg = config()
    start = find_start(cfg, 'auto')
    assert 'starts over' in start.note
    assert start.source is None and start.step(cfg) is None
    assert not cfg.resume and cfg.load_from is None


def test_if_none_is_whole_nothing_starts(config):
    words = ('none of the 2 checkpoints in .*resume=FILE.*force=True.*'
             'resume=.*epoch_2.pth')
    with pytest.raises(CheckpointError, match=words):
        find_start(config((1, 9), (2, 9)), 'auto')


@pytest.mark.parametrize(('lost', 'resume'), [('optimizer', 'auto'),
                                              ('message_hub', 'auto'),
                                              ('meta', 'epoch_3.pth')])
def test_a_whole_file_without_training_state_is_refused(
        config, tmp_path, monkeypatch, lost, resume):
    monkeypatch.chdir(tmp_path)
    content = {key: value for key, value in STATE.items() if key != lost}
    words = 'epoch_3.pth.*no training state to resume'
    with pytest.raises(CheckpointError, match=words):
        find_start(config((2, STATE), (3, content)), resume)


@pytest.mark.parametrize('change', [
    dict(message_hub=dict(log_scalars=5)),
    dict(meta=dict(STATE['meta'], epoch=10**30)),
    dict(meta=dict(STATE['meta'], iter=-1))
])
def test_a_training_state_that_cannot_be_is_refused(config, change):
    with pytest.raises(CheckpointError, match='no training state to resume'):
        find_start(config((1, {**STATE, **change})), 'auto')


@pytest.mark.parametrize(
    ('options', 'resume', 'resumes', 'name'),
    [(dict(), None, False, None),
     (dict(load_from='epoch_1.pth'), None, False, 'epoch_1.pth'),
     (dict(load_from='epoch_1.pth', resume=True), None, True, 'epoch_1.pth'),
     (dict(resume=True), None, True, 'epoch_2.pth'),
     (dict(load_from='epoch_1.pth'), 'auto', True, 'epoch_2.pth'),
     (dict(), 'epoch_1.pth', True, 'epoch_1.pth')])
def test_every_way_to_choose_a_start(config, tmp_path, monkeypatch, options,
                                     resume, resumes, name):
    monkeypatch.chdir(tmp_path)
    cfg = config((1, STATE), (2, STATE), **options)
    start = find_start(cfg, resume)
    assert cfg.resume == start.resumes == resumes
    assert name is None or cfg.load_from.endswith(name)


def test_a_checkpoint_of_plain_mmengine_is_resumed_with_a_note(config):
    assert 'random' not in find_start(config((1, STATE)), 'auto').note
    plain = dict(STATE, meta=dict(epoch=1, iter=10, seed=4))
    start = find_start(config((1, plain)), 'auto')
    assert start.resumes and 'uses other random numbers' in start.note
    assert 'epoch_1.pth, the newest intact checkpoint' in start.note


@pytest.mark.parametrize(('done', 'words'), [(9, ''), (10, '10 epochs of 10')])
def test_a_finished_training(done, words):
    runner = SimpleNamespace(train_loop=SimpleNamespace(max_epochs=10))
    content = dict(meta=dict(epoch=done, iter=done * 7))
    note = explain_finished(runner, Start('a.pth', content, resumes=True))
    assert words in note and bool(words) == bool(note)
    assert explain_finished(runner, Start('a.pth', content)) == ''


def training(kind='AdamW', groups=1, schedules='a', several=False, **options):
    weights = [torch.nn.Parameter(torch.ones(3)) for _ in range(4)]
    split = [dict(params=weights[i::groups]) for i in range(groups)]
    built = getattr(torch.optim, kind)(split, lr=1., **options)
    sum(weights).sum().backward()
    built.step()
    wrapper = OptimWrapper(built)
    return SimpleNamespace(
        optim_wrapper=OptimWrapperDict(x=wrapper) if several else wrapper,
        param_schedulers=[
            SimpleNamespace(
                state_dict=lambda keys=keys: dict.fromkeys(keys),
                load_state_dict=lambda _: None) for keys in schedules
        ])


def saved(**options):
    run = training(**options)
    content = dict(
        optimizer=copy.deepcopy(run.optim_wrapper.state_dict()),
        param_schedulers=[each.state_dict() for each in run.param_schedulers])
    return Start('a.pth', content, resumes=True)


@pytest.mark.parametrize('options', [
    dict(kind='SGD', momentum=0.9),
    dict(groups=4),
    dict(several=True),
    dict(schedules=['ab', 'c'])
])
def test_the_same_training_run_is_resumed(options):
    start = saved(**options)
    before = copy.deepcopy(start.content['optimizer'])
    load_training_state(training(**options), start)
    assert str(before) == str(start.content['optimizer'])


def test_options_of_another_version_of_pytorch_are_no_difference():
    start = saved()
    for group in start.content['optimizer']['param_groups']:
        group.update(initial_lr=1., newer=None)
        del group['foreach']
    load_training_state(training(), start)


@pytest.mark.parametrize(
    ('options', 'words'),
    [(dict(kind='SGD'), 'another optimizer: .* has no dampening, momentum'),
     (dict(kind='Adam'), 'another optimizer: .* decoupled_weight_decay diff'),
     (dict(groups=2), 'another optimizer: .*different number of param'),
     (dict(several=True), 'another optimizer: '),
     (dict(schedules=''), 'another schedule: resume it with the param_sched'),
     (dict(schedules='aa'), 'another schedule'),
     (dict(schedules='b'), 'another schedule')])
def test_another_training_run_is_not_resumed(options, words):
    with pytest.raises(CheckpointError, match=words):
        load_training_state(training(**options), saved())


def test_a_checkpoint_of_another_folder_is_of_another_run(config, tmp_path):
    cfg = config((1, STATE))
    start = find_start(cfg, f'{tmp_path}/epoch_1.pth')
    assert start.step(cfg) == 1
    cfg.work_dir = str(tmp_path / 'other')
    assert start.step(cfg) is None


def test_other_data_is_warned_of(config, capsys):

    def warned(folder, before, resumes=True):
        dataset = TensorDataset(torch.zeros(3))
        dataset.data_root = before
        runner = Mock(train_dataloader=DataLoader(dataset))
        checkpoint = dict(meta={})
        RecordDataHook().before_save_checkpoint(runner, checkpoint)
        dataset.data_root = folder
        warn_of_other_data(runner, Start('a.pth', checkpoint, resumes))
        return capsys.readouterr().err

    assert re.search(
        'goes on with other training data: 3 images, in new; '
        'before it was 3 images, in old', warned('new', 'old'))
    assert not warned('old', 'old')
    assert not warned('new', 'old', resumes=False)
