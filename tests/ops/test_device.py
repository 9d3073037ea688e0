import pytest
import torch

from mmcls_repmlp.ops.device import is_eager_on_cpu, is_transformed


class Probe(torch.nn.Module):

    def forward(self, x):
        return x + 1 if is_eager_on_cpu(x) else x + 2


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
def test_is_true_on_a_cpu_unless_a_graph_is_made():
    x = torch.ones(1)
    assert Probe()(x) == 2 and not is_eager_on_cpu(x.to('meta'))
    assert torch.export.export(Probe(), (x, )).module()(x) == 3
    assert torch.jit.trace(Probe(), x, check_trace=False)(x) == 3


def test_is_false_under_transforms():
    x = torch.ones(2)
    assert torch.func.vmap(Probe())(x).tolist() == [3, 3]
    assert torch.func.jvp(Probe(), (x, ), (x, ))[0].tolist() == [3, 3]
    assert Probe()(x).tolist() == [2, 2]


def test_compiled_code_is_neither_eager_nor_transformed():

    def probe(x):
        return Probe()(x) + (0 if is_transformed() else 2)

    x = torch.ones(1)
    assert torch.compile(probe, backend='eager', fullgraph=True)(x) == 5
    assert torch.func.vmap(probe)(x) == 3
