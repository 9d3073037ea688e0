import warnings

import numpy as np
import pytest
import torch
from torch import nn

from mmcls_repmlp.deploy.exported.load_exported import load_exported
from mmcls_repmlp.errors import JobFailedError, UserError


class Opens(nn.Module):

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_file('ran', True, 4).sum()


class Saves(nn.Module):

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, 'ran')
        return x


class Loops(nn.Module):

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while True:
            x = x + 1
        return x


class RunsOnLoading(nn.Module):

    def __init__(self):
        super().__init__()
        self.state = 1

    @torch.jit.export
    def __getstate__(self) -> int:
        return self.state

    @torch.jit.export
    def __setstate__(self, state: int) -> None:
        self.state = state
        self.training = torch.from_file('ran', True, 4).numel() > 9

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Prints(nn.Module):

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print('hello')
        return x


def scripted(module, path):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.jit.script(module).save(path)
    return path


@pytest.mark.parametrize('module',
                         [Opens, Saves, Loops, RunsOnLoading, Prints])
def test_more_than_arithmetic_is_refused(tmp_path, module, monkeypatch,
                                         marker):
    monkeypatch.chdir(tmp_path)  # where the marker is
    path = scripted(module(), tmp_path / 'm.pt')
    with pytest.raises(UserError, match='TorchScript holds'):
        load_exported(path)


def code_of(text):
    """Replace the text of the file's outermost class."""
    return {'code/__torch__/mmcls_repmlp/deploy/served.py': text.encode()}


@pytest.mark.parametrize('text', [
    'import os\n', 'class _Sized(Module, X):\n  training : bool\n',
    'class _Sized(NamedTuple):\n  training : bool\n',
    'class _Sized(Module):\n  x : __torch__.torch.classes.rnn.Cell\n',
    'class _Sized(Module):\n  def forward(self, x: Tensor) -> Tensor:\n'
    '    return torch.save(x, "/tmp/x")\n',
    'class _Sized(Module):\n  def forward(self, x: Tensor) -> Tensor:\n'
    '    return ops.aten.save(x)\n',
    'class _Sized(Module):\n  def forward(self, x: Tensor) -> Tensor:\n'
    '    return (self.a.b).forward_(x)\n',
    'class _Sized(Module):\n  def __setstate__(self, x: int) -> None:\n'
    '    return None\n'
])
def test_text_is_held_against_a_list(exported, rezip, text):
    with pytest.raises(UserError, match='TorchScript holds'):
        load_exported(rezip(exported.folder / 'm.pt', code_of(text)))


def test_computes_what_torch_computes(exported):
    path = exported.folder / 'm.pt'
    expected = torch.jit.load(path)(torch.from_numpy(exported.images))
    assert np.array_equal(
        load_exported(path)(exported.images),
        expected.detach().numpy())


@pytest.mark.parametrize('images', [
    torch.zeros(2, 3, 16, 16),
    torch.zeros(2, 1, 8, 8),
    torch.zeros(3, 8, 8),
    torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
])
def test_the_file_itself_refuses_what_it_was_not_traced_for(exported, images):
    with pytest.raises(torch.jit.Error, match=r'takes .* \(N, 3, 8, 8\) only'):
        torch.jit.load(exported.folder / 'm.pt')(images)


def test_a_trace_that_takes_any_size_is_refused(tmp_path):
    path = tmp_path / 'm.pt'
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.jit.trace(
            nn.Sequential(nn.Conv2d(3, 4, 3)), torch.zeros(1, 3, 8,
                                                           8)).save(path)
    with pytest.raises(UserError, match='does not say what images it takes'):
        load_exported(path)
    run = load_exported(path, trust=True)
    assert run(np.zeros((1, 3, 9, 9), np.float32)).shape == (1, 4, 7, 7)


@pytest.mark.parametrize('data', [b'', b'PK', b'no archive'])
def test_damage_is_a_sentence(tmp_path, data):
    (tmp_path / 'm.pt').write_bytes(data)
    with pytest.raises(JobFailedError, match='cannot be read as .pt'):
        load_exported(tmp_path / 'm.pt')
