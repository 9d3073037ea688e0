import pytest
import torch
from benchmark_shareset_fc import LAYERS, Layer, as_published, benchmark_fc

from mmcls_repmlp.models import RepMLPNet, RepMLPResNet
from mmcls_repmlp.ops import shareset_fc
from repmlp_lite.errors import UserError
from tests.helpers import assert_same, randn


@pytest.mark.parametrize('train', [False, True])
def test_a_row_for_every_layer_and_batch(monkeypatch, capsys, train):
    monkeypatch.setitem(LAYERS, 'tiny', Layer(3, 2, 4))
    seen = set()
    monkeypatch.setattr(torch.autograd, 'grad',
                        lambda out, inputs: seen.add(len(inputs)))
    rows = benchmark_fc(['tiny'], batches=[1, 2], train=train, rounds=2)
    lines = capsys.readouterr().out.splitlines()
    assert [(row.layer, row.batch) for row in rows] == [('tiny', 1),
                                                        ('tiny', 2)]
    assert all(min(row[2:]) > 0 for row in rows)
    assert ('backward' in lines[1]) is train
    assert seen == ({3} if train else set())
    assert f'{rows[1].published:.2f}' in lines[-1]


def test_published_and_ours_are_one_layer():
    x, weight, bias = randn(6, 2, 4), randn(8, 4, 1, 1), randn(8, seed=1)
    assert_same(shareset_fc(x, weight, bias), as_published(x, weight, bias))


def test_layers_are_those_of_the_models():
    with torch.device('meta'):
        net, light = RepMLPNet('b'), RepMLPResNet(num_groups=4)
    for i, (stage, channels) in enumerate(zip(net.stages, net.channels)):
        block = stage[0].repmlp_block
        rows, sets, inputs = LAYERS[f'b224.{i + 1}']
        assert block.fc3.weight.shape[:2] == (sets * inputs, inputs)
        assert rows == channels // sets
    for name, stage in (('c3', light.stage2), ('c4', light.stage3)):
        repmlp = stage[1].light_repmlp
        assert LAYERS[f'light-g4.{name}'] == (repmlp.num_partitions, 4,
                                              repmlp.fc3.weight.shape[1])
        half = LAYERS[f'light-g8.{name}']
        assert half == (repmlp.num_partitions, 8,
                        repmlp.fc3.weight.shape[1] // 2)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [(dict(names=['x']), "layer 'x' is unknown: choose from b224.1"),
     (dict(batches=[0]), 'must be positive'), (dict(rounds=0), 'positive')])
def test_what_cannot_be_timed(kwargs, message):
    with pytest.raises(UserError, match=message):
        benchmark_fc(**kwargs)
