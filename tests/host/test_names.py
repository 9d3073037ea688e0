"""What each host has in its own way, under whichever is installed."""
import mmcv
import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

from mmcls_repmlp.host import (MODELS, PACKERS, TRANSFORMS, DataSample,
                               LinearReduction, Visualizer, draw, gt_labels,
                               pred_labels, pred_scores)
from tests.helpers import ROOT


def test_labels_and_scores_of_samples_and_of_what_evaluators_see():
    sample = DataSample().set_gt_label(2).set_pred_label(
        [1, 0]).set_pred_score(torch.tensor([0.25, 0.75]))
    for seen in (sample, sample.to_dict()):
        assert gt_labels(seen).tolist() == [2]
        assert pred_labels(seen).tolist() == [1, 0]
        assert pred_scores(seen).tolist() == [0.25, 0.75]


def test_configs_of_mmcls_find_what_they_name():
    with DefaultScope.overwrite_default_scope('mmcls'):
        packer = TRANSFORMS.build(dict(type='PackClsInputs'))
    assert isinstance(packer, PACKERS)


def test_reductions_have_the_names_and_numbers_of_mmcls():
    with DefaultScope.overwrite_default_scope('mmcls'):
        neck = MODELS.build(
            dict(type='LinearReduction', in_channels=3, out_channels=2))
    assert isinstance(neck.double().eval(), LinearReduction)
    assert [*neck.state_dict()] == [
        'reduction.weight', 'reduction.bias', 'norm.weight', 'norm.bias',
        'norm.running_mean', 'norm.running_var', 'norm.num_batches_tracked'
    ]
    torch.nn.init.normal_(neck.norm.running_mean)
    features = torch.randn(4, 3, dtype=torch.float64)
    found, = neck((None, features))
    expected = neck.norm(features @ neck.reduction.weight.T +
                         neck.reduction.bias)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('factor', [1, 3])
def test_pictures_show_classes(tmp_path, factor):
    colour = 255, 200, 255
    sample = DataSample().set_gt_label(0).set_pred_label(1).set_pred_score(
        torch.tensor([0.25, 0.75]))
    visualizer, path = Visualizer(), tmp_path / 'a.png'
    visualizer.dataset_meta = dict(classes=('cat', 'dog'))
    image = np.full((120, 160, 3), colour, np.uint8)
    draw(visualizer, image, sample, path, float(factor), ['monospace'])
    drawn = mmcv.imread(str(path), channel_order='rgb').astype(int)
    assert drawn.shape == (120 * factor, 160 * factor, 3)
    rows, _ = (abs(drawn - colour) > 8).any(2).nonzero()
    assert rows.size and rows.min() < 40 * factor


def test_no_other_room_names_a_host():
    package = ROOT / 'mmcls_repmlp'
    for path in {*package.rglob('*.py')} - {package / '__init__.py'}:
        if package / 'host' not in path.parents:
            text = path.read_text()
            for ours in ('mmcls_repmlp', 'to_mmcls'):
                text = text.replace(ours, '')
            assert 'mmcls' not in text and 'mmpretrain' not in text, path
