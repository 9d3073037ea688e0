"""What each host has in its own way, under whichever is installed."""
import mmcv
import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

from mmcls_repmlp.host import (MODELS, NAME, PACKERS, TRANSFORMS, Caption,
                               DataSample, LinearReduction, Visualizer, draw,
                               gt_labels, pred_labels, pred_scores)
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
        neck = MODELS.build(
            dict(type='LinearReduction', in_channels=3, out_channels=2))
    assert isinstance(packer, PACKERS)
    assert isinstance(neck, LinearReduction)


def test_reductions_have_the_names_and_numbers_of_mmcls():
    neck = LinearReduction(3, 2).double().eval()
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


@pytest.mark.parametrize('caption', [None, Caption((70., 8.), 8.)])
def test_pictures_show_classes_where_they_are_to_stand(tmp_path, caption):
    image = np.full((120, 160, 3), 255, np.uint8)
    image[:, :, 1] = 200
    sample = DataSample().set_gt_label(0).set_pred_label(1).set_pred_score(
        torch.tensor([0.25, 0.75]))
    visualizer = Visualizer()
    visualizer.dataset_meta = dict(classes=('cat', 'dog'))
    path = tmp_path / 'a.png'
    draw(visualizer, image, sample, path, caption=caption)
    drawn = mmcv.imread(str(path), channel_order='rgb').astype(int)
    assert drawn.shape == image.shape
    changed = (abs(drawn - image) > 8).any(2)
    rows, columns = changed.nonzero()
    left = 0 if caption is None else caption.position[0] - 1
    assert changed.any() and columns.min() >= left
    assert rows.min() < 40


def test_pictures_are_enlarged(tmp_path):
    draw(
        Visualizer(),
        np.zeros((20, 30, 3), np.uint8),
        DataSample(),
        tmp_path / 'a.png',
        rescale_factor=3.)
    assert mmcv.imread(str(tmp_path / 'a.png')).shape == (60, 90, 3)


def test_no_other_room_names_a_host():
    hosts = ('mmcls', 'mmpretrain')
    package = ROOT / 'mmcls_repmlp'
    named = {
        path.relative_to(package).as_posix(): line
        for path in package.rglob('*.py')
        if 'host' != path.relative_to(package).parts[0]
        for line in path.read_text().splitlines() for host in hosts
        if host in line.replace('mmcls_repmlp', '').replace('to_mmcls', '')
        and path != package / '__init__.py'
    }
    assert not named
    assert NAME in hosts
