import benchmark_block_training as module_under_test
import pytest
import torch
from benchmark_block_training import LayerByLayer, benchmark_block

from mmcls_repmlp import RepMLPBlock
from repmlp_lite.errors import UserError
from tests.helpers import assert_same


def test_a_row_for_every_block(monkeypatch, capsys):
    monkeypatch.setattr(module_under_test, 'BLOCKS', ((4, 2, 2), (4, 4, 1)))
    rows = benchmark_block(batch=16, rounds=2)
    assert [row[:3] for row in rows] == [(4, 2, 2), (4, 4, 1)]
    assert all(min(row[3:]) > 0 for row in rows)
    assert f'{rows[1].merged:.2f}' in capsys.readouterr().out


def test_both_blocks_compute_the_same_and_one_folds():
    x, outs = torch.randn(64, 4, 4, 4, dtype=torch.float64), []
    for kind in (RepMLPBlock, LayerByLayer):
        torch.manual_seed(0)
        block = kind(4, 4, 4, reparam_conv_kernels=(1, 3)).double()
        assert block.can_fold_batch(x.view(-1, 1, 4, 4)) is (kind
                                                             is RepMLPBlock)
        outs.append(block(x))
    assert_same(*outs, 1e-9)


def test_numbers_are_positive():
    with pytest.raises(UserError, match='must be positive'):
        benchmark_block(rounds=0)
