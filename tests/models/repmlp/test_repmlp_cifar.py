import pytest
import torch
from torch import nn

from mmcls_repmlp import (RepMLP, RepMLPCifarNet, fuse_for_inference,
                          reparameterize)
from mmcls_repmlp.reparam import complexity
from tests.helpers import assert_same, randn, random_model

TINY = dict(channels=(4, 8, 4), img_size=16, partition_size=4)


def net(**cfg):
    return random_model(RepMLPCifarNet, **{**TINY, **cfg})


def test_counts_are_those_of_the_paper():
    with torch.device('meta'):
        model = RepMLPCifarNet()
    head = model.channels[-1] * 10
    trained = complexity(model, (3, 32, 32))
    model.switch_to_deploy()
    merged = complexity(model, (3, 32, 32))
    assert round((merged.macs + head) / 1e6, 1) == 52.8  # table 1
    # Before merging the paper's is much higher too, without a number here.
    assert round((trained.macs + head) / 1e6, 1) == 118.9
    assert round((merged.params + head + 10) / 1e6, 2) == 22.38


def test_layers_by_turns():
    # Figure 3: stage 1 at full resolution, its last FC widens the map.
    model, x = net(out_indices=(0, 1, 2)), randn(2, 3, 16, 16)
    blocks = [m for m in model.modules() if isinstance(m, RepMLP)]
    assert [
        (b.in_channels, b.input_size, b.num_partitions) for b in blocks
    ] == [(4, (16, 16), 16)] * 2 + [(8, (8, 8), 4)] * 2 + [(4, (4, 4), 1)] * 2
    y, expected = model.stem(x), []
    for i, stage in enumerate(model.stages):
        y = nn.functional.max_pool2d(y, 2) if i else y
        for block in stage:
            y = block.fc(block.repmlp(y).relu())
        expected.append(y)
    outs = model(x)
    assert [tuple(out.shape[1:]) for out in outs] == [(8, 16, 16), (4, 8, 8),
                                                      (4, 4, 4)]
    assert all((out >= 0).all() for out in outs)
    assert_same(outs, expected)


@pytest.mark.parametrize(('cfg', 'absent'), [
    (dict(reparam_conv_kernels=None), 'repconv'),
    (dict(with_global=False), 'fc1_fc2'),
    (dict(img_size=(12, 20), depth=1, out_indices=(0, 1, 2)), 'layer'),
])
def test_all_forms_are_equal(cfg, absent):
    model = net(**cfg)
    assert not any(absent in name for name in model.state_dict())
    x, merged = randn(2, 3, *model.img_size), reparameterize(model)
    built = net(**cfg, deploy=True)
    built.load_state_dict(merged.state_dict())
    for other in (merged, built, fuse_for_inference(model)):
        assert_same(other(x), model(x), 1e-10)
