import os
import stat
from collections import OrderedDict

import pytest
import torch
from torch import nn

from mmcls_repmlp import RepMLPNet
from mmcls_repmlp.checkpoints import (
    load_strictly,
    local_file,
    read_checkpoint,
    state_dict_of,
    write_checkpoint,
)
from mmcls_repmlp.errors import CheckpointError, UserError
from tests.helpers import TINY_CFG, assert_same, random_model

WEIGHTS = {'a.weight': torch.ones(2), 'a.bias': torch.zeros(1)}
WRAPPED = {f'module.{key}': value for key, value in WEIGHTS.items()}


@pytest.mark.parametrize('content', [
    WEIGHTS, OrderedDict(WEIGHTS), WRAPPED, dict(state_dict=WEIGHTS),
    dict(state_dict=WRAPPED, optimizer={}, meta={}), dict(model=WEIGHTS),
    dict(ema=WRAPPED)])
def test_all_envelopes_are_opened(tmp_path, content):
    path = tmp_path / 'a.pth'
    torch.save(content, path)
    read = state_dict_of(read_checkpoint(path), path)
    assert read.keys() == WEIGHTS.keys()
    assert_same([*read.values()], [*WEIGHTS.values()], 0)


@pytest.mark.parametrize('content', [
    {}, [1], dict(state_dict={}), dict(a=1), torch.ones(2),
    {1: torch.ones(1)}])
def test_files_without_weights_are_refused(content):
    with pytest.raises(CheckpointError, match=r"'a.pth' holds no state dict"):
        state_dict_of(content, 'a.pth')


def test_the_key_chooses_among_several_state_dicts():
    both = dict(model=WEIGHTS, ema={'b': torch.ones(1)})
    assert state_dict_of(both, 'a.pth').keys() == WEIGHTS.keys()
    assert state_dict_of(both, 'a.pth', 'ema').keys() == {'b'}
    with pytest.raises(CheckpointError, match=r"under one of the keys \('x',"):
        state_dict_of(both, 'a.pth', 'x')


def test_a_prefix_that_only_some_names_have_is_kept():
    mixed = {'module.a': torch.ones(1), 'b': torch.ones(1)}
    assert state_dict_of(mixed, 'a.pth').keys() == mixed.keys()


def test_missing_file():
    with pytest.raises(CheckpointError, match="'no.pth' does not exist"):
        read_checkpoint('no.pth')


def test_folder(tmp_path):
    with pytest.raises(CheckpointError, match='does not exist'):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize('damage', [
    lambda data: data[:len(data) // 2], lambda data: b'', lambda data: b'x',
    lambda data: b'PK' + data[2:50] + bytes(1000),
    lambda data: data.replace(b'weight', b'height')[:-9]])
def test_damaged_files(tmp_path, damage):
    path = tmp_path / 'a.pth'
    torch.save(WEIGHTS, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match=r'a\.pth'):
        read_checkpoint(path)


def test_urls_are_downloaded_once(tmp_path, monkeypatch):
    source = tmp_path / 'source.pth'
    torch.save(WEIGHTS, source)
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    fetched = []

    def download(url, path):
        fetched.append(url)
        source.rename(path)

    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    for _ in range(2):
        path = local_file('https://example.org/weights.pth')
        assert path.name == 'weights.pth'
        assert read_checkpoint(path).keys() == WEIGHTS.keys()
    assert len(fetched) == 1


def test_urls_that_cannot_be_fetched(tmp_path, monkeypatch):
    def fail(url, path):
        raise OSError('no network')

    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', fail)
    with pytest.raises(CheckpointError, match=r'fetched \(no network\)'):
        read_checkpoint('https://example.org/weights.pth')


def test_strict_loading_fills_the_model():
    source, target = (random_model(RepMLPNet, seed, **TINY_CFG)
                      for seed in (0, 1))
    load_strictly(target, source.state_dict(), 'a.pth')
    assert_same([*target.state_dict().values()],
                [*source.state_dict().values()], 0)


@pytest.mark.parametrize(('change', 'message'), [
    (lambda w: w.pop('final_norm.weight'), '1 missing: final_norm.weight'),
    (lambda w: w.update(new=torch.ones(1)), '1 unexpected: new'),
    (lambda w: w.update({'final_norm.weight': torch.ones(3)}),
     r'1 mis-shaped: final_norm.weight \(model \(32,\), checkpoint \(3,\)\)'),
    (lambda w: w.clear() or w.update(x=torch.ones(1)), 'another architecture'),
])
def test_strict_loading_is_all_or_nothing(change, message):
    model, weights = nn.Module(), random_model(RepMLPNet, **TINY_CFG)
    model = random_model(RepMLPNet, 1, **TINY_CFG)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    weights = dict(weights.state_dict())
    change(weights)
    with pytest.raises(CheckpointError, match=message):
        load_strictly(model, weights, 'a.pth')
    assert_same([*model.state_dict().values()], [*before.values()], 0)


# ---------------------------------------------------------------- writing

def test_written_checkpoint_is_read_back_and_nothing_else_is_left(tmp_path):
    path = tmp_path / 'new' / 'folder' / 'a.pth'
    write_checkpoint(dict(state_dict=WEIGHTS), path)
    assert read_checkpoint(path)['state_dict'].keys() == WEIGHTS.keys()
    assert os.listdir(path.parent) == ['a.pth']


def test_written_file_has_usual_permissions(tmp_path):
    umask = os.umask(0o022)
    try:
        write_checkpoint(WEIGHTS, tmp_path / 'a.pth')
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / 'a.pth').stat().st_mode) == 0o644


def test_files_are_replaced_only_by_force(tmp_path):
    path = tmp_path / 'a.pth'
    path.write_text('precious')
    with pytest.raises(UserError, match=r"a.pth' exists: .* --force"):
        write_checkpoint(WEIGHTS, path)
    assert path.read_text() == 'precious'
    write_checkpoint(WEIGHTS, path, force=True)
    assert read_checkpoint(path).keys() == WEIGHTS.keys()


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(UserError, match='is a folder'):
        write_checkpoint(WEIGHTS, tmp_path, force=True)
