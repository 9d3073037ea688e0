import numpy as np
import pytest
import torch
from torch import nn

from repmlp_lite.errors import UserError
from repmlp_lite.exported.load_exported import load_exported

# Of torch, whose TorchScript is deprecated.
pytestmark = pytest.mark.filterwarnings('ignore')


def opens(x: torch.Tensor) -> torch.Tensor:
    return x + torch.from_file('ran', True, 4).sum()


def saves(x: torch.Tensor) -> torch.Tensor:
    torch.save(x, 'ran')
    return x


def loops(x: torch.Tensor) -> torch.Tensor:
    while True:
        x = x + 1
    return x


def prints(x: torch.Tensor) -> torch.Tensor:
    print('hello')
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


@pytest.mark.parametrize(
    'program',
    [opens, saves, loops, prints, RunsOnLoading()])
def test_more_than_arithmetic_is_refused(tmp_path, program, monkeypatch,
                                         marker):
    monkeypatch.chdir(tmp_path)  # where the marker is
    torch.jit.script(program).save('m.pt')
    with pytest.raises(UserError, match='TorchScript holds'):
        load_exported('m.pt')


CLASS = 'class _Sized(Module):\n  '
FORWARD = f'{CLASS}def forward(self, x: Tensor) -> Tensor:\n    return '


@pytest.mark.parametrize('text', [
    'import os\n', 'class _Sized(Module, X):\n  training : bool\n',
    'class _Sized(NamedTuple):\n  training : bool\n',
    f'{CLASS}x : __torch__.torch.classes.rnn.Cell\n',
    f'{FORWARD}torch.save(x, "/tmp/x")\n', f'{FORWARD}ops.aten.save(x)\n',
    f'{FORWARD}(self.a.b).forward_(x)\n',
    f'{CLASS}def __setstate__(self, x: int) -> None:\n    return None\n'
])
def test_text_is_held_against_a_list(rezip, text):
    with pytest.raises(UserError, match='TorchScript holds'):
        load_exported(rezip('m.pt', {'code/more.py': text.encode()}))


def test_computes_what_torch_computes(exported):
    path, images = exported.folder / 'm.pt', exported.images
    expected = torch.jit.load(path)(torch.from_numpy(images)).detach()
    assert np.array_equal(load_exported(path)(images), expected)


def test_a_trace_that_takes_any_size_is_refused(tmp_path):
    path, images = tmp_path / 'm.pt', torch.zeros(1, 3, 8, 8)
    torch.jit.trace(nn.Conv2d(3, 4, 3), images).save(path)
    with pytest.raises(UserError, match='does not say what images it takes'):
        load_exported(path)
    run = load_exported(path, trust=True)
    assert run(np.zeros((1, 3, 9, 9), np.float32)).shape == (1, 4, 7, 7)
