from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from mmcls_repmlp.apis._before_training.resume import (Start, find_start,
                                                       finished)
from mmcls_repmlp.errors import CheckpointError

STATE = dict(
    state_dict=dict(w=torch.ones(1)),
    message_hub=dict(),
    optimizer=dict(),
    meta=dict(epoch=1, iter=10, seed=4, batches_per_epoch=10))


@pytest.fixture
def config(tmp_path):
    """Write checkpoints, whole ones or so many bytes of them."""

    def make(files=(), **options):
        for name, content in dict(files).items():
            path = tmp_path / name
            torch.save(
                STATE if not isinstance(content, dict) else content, path)
            if isinstance(content, int):
                path.write_bytes(path.read_bytes()[:content])
        return Config(dict(work_dir=str(tmp_path), **options))

    return make


def test_the_newest_whole_one_is_found_by_name(config, tmp_path):
    cfg = config({
        'epoch_9.pth': None,
        'epoch_10.pth': None,
        'epoch_11.pth': 100,
        'epoch_12.pth': 0
    })
    # As after the folder was moved, or the writing was cut off.
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/epoch_12.pth')
    start = find_start(cfg, 'auto')
    assert start.source == str(tmp_path / 'epoch_10.pth')
    assert 'passed over as damaged: epoch_12.pth, epoch_11.pth' in start.said
    assert start.resumes and start.newest
    assert cfg.resume and cfg.load_from == start.source
    assert cfg.randomness.seed == 4


def test_nothing_to_resume_is_said_and_training_starts_anew(config):
    cfg = config()
    start = find_start(cfg, 'auto')
    assert 'there is no checkpoint in' in start.said
    assert 'starts anew' in start.said
    assert start.source is None and start.step(cfg) is None
    assert not cfg.resume and cfg.load_from is None


def test_if_none_is_whole_nothing_starts(config):
    with pytest.raises(
            CheckpointError,
            match='none of the 2 checkpoints in .*'
            'resume=FILE.*force=True.*resume=.*epoch_2.pth'):
        find_start(config({'epoch_1.pth': 9, 'epoch_2.pth': 9}), 'auto')


@pytest.mark.parametrize('resume', ['auto', 'epoch_3.pth'])
@pytest.mark.parametrize('lost', ['optimizer', 'message_hub', 'meta'])
def test_a_whole_file_without_training_state_is_refused(
        config, tmp_path, lost, resume):
    # Not passed over: who put it there should know.
    content = {key: value for key, value in STATE.items() if key != lost}
    cfg = config({'epoch_2.pth': None, 'epoch_3.pth': content})
    if resume != 'auto':
        resume = str(tmp_path / resume)
    with pytest.raises(
            CheckpointError, match='epoch_3.pth.*no training state '
            'to resume'):
        find_start(cfg, resume)


@pytest.mark.parametrize(
    ('options', 'resume', 'resumes', 'name'),
    [(dict(), None, False, None),
     (dict(load_from='epoch_1.pth'), None, False, 'epoch_1.pth'),
     (dict(load_from='epoch_1.pth', resume=True), None, True, 'epoch_1.pth'),
     (dict(resume=True), None, True, 'epoch_2.pth'),
     (dict(load_from='epoch_1.pth'), 'auto', True, 'epoch_2.pth'),
     (dict(), 'epoch_1.pth', True, 'epoch_1.pth')])
def test_every_way_to_say_it(config, tmp_path, monkeypatch, options, resume,
                             resumes, name):
    monkeypatch.chdir(tmp_path)
    cfg = config({'epoch_1.pth': None, 'epoch_2.pth': None}, **options)
    start = find_start(cfg, resume)
    assert cfg.resume == start.resumes == resumes
    assert name is None or cfg.load_from.endswith(name)


def test_a_checkpoint_of_plain_mmengine_goes_on_in_words(config):
    meta = dict(epoch=1, iter=10, seed=4)
    start = find_start(
        config({'epoch_1.pth': {
            **STATE, 'meta': meta
        }}), 'auto')
    assert start.resumes and 'with other random numbers' in start.said
    assert 'epoch_1.pth, the newest whole checkpoint' in start.said
    cfg = config({'epoch_1.pth': None})
    assert 'random' not in find_start(cfg, 'auto').said


@pytest.mark.parametrize(('done', 'over'), [(9, False), (10, True),
                                            (11, True)])
def test_a_finished_training(done, over):
    runner = SimpleNamespace(train_loop=SimpleNamespace(max_epochs=10))
    content = dict(meta=dict(epoch=done, iter=done * 7))
    said = finished(runner, Start('a.pth', content, resumes=True))
    assert bool(said) == over
    if over:
        assert f'a.pth is a finished training, of {done} epochs where ' in said
    assert finished(runner, Start('a.pth', content)) == ''
