import copy
import re

import pytest
import segment_digits
import torch
from PIL import Image
from segmentation import (COLS, ROWS, SIDE, Segmenter, best_threshold_iou, iou,
                          make_scenes, train)
from sklearn.datasets import load_digits

from mmcls_repmlp import fuse_for_inference, reparameterize
from tests.helpers import assert_same

HEIGHT, WIDTH = ROWS * SIDE, COLS * SIDE


@pytest.fixture(scope='module')
def trained():
    torch.manual_seed(0)
    model = Segmenter()
    return model, train(model, 40)


@pytest.fixture(scope='module')
def scenes():
    return make_scenes(16, False, 1_000_000)


def test_it_learns_better_masks_than_any_threshold(trained, scenes):
    model, losses = trained
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    with torch.no_grad():
        learned = iou(model(scenes[0]) > 0, scenes[1])
    # From 0.67 to 0.75 for six seeds, against 0.32.
    assert learned > 1.5 * best_threshold_iou(*scenes)


# All of the scenes, and a part that is no multiple of the training size.
@pytest.mark.parametrize('size', [(HEIGHT, WIDTH), (50, 99)])
@pytest.mark.parametrize('fuse', [False, True])
@torch.no_grad()
def test_merging_changes_no_mask(trained, scenes, size, fuse):
    model = copy.deepcopy(trained[0]).double()
    images = scenes[0][..., :size[0], :size[1]].double()
    merged = reparameterize(model)
    assert merged.backbone.deploy and not model.backbone.deploy
    if fuse:
        merged.backbone = fuse_for_inference(merged.backbone)
    logits = model(images)
    assert logits.shape == images.shape
    assert_same(merged(images), logits)
    assert torch.equal(merged(images) > 0, logits > 0)


def test_scenes_and_training_are_drawn_from_the_seed():
    first, again, other = (make_scenes(2, True, seed) for seed in (5, 5, 6))
    assert_same(again, first, 0)
    assert not other[0].equal(first[0])
    torch.manual_seed(0)
    model = Segmenter()
    assert train(copy.deepcopy(model), 2) == train(model, 2)


def test_scenes_are_tiles_of_held_out_digits():
    images, masks = make_scenes(2, False, 3)
    assert images.shape == masks.shape == (2, 1, HEIGHT, WIDTH)
    held_out = torch.from_numpy(load_digits().images[1400:]).float() / 16
    # Averaged over its 8x8 pixels, a mask is close to the digit.
    coarse = masks.view(2, ROWS, 8, 4, COLS, 8, 4).mean((3, 6))
    for digit in coarse.transpose(2, 3).reshape(-1, 1, 8, 8):
        assert (held_out - digit).abs().mean((1, 2)).min() < 0.15


def test_iou_and_the_best_threshold_in_either_polarity():
    masks = torch.tensor([1., 1., 0., 0.])
    assert iou(torch.tensor([0., 1., 1., 0.]), masks) == pytest.approx(1 / 3)
    for images in (masks - 0.5, 0.5 - masks):
        assert best_threshold_iou(images, masks) == 1


def test_the_command_draws_and_reports(tmp_path, capsys):
    out = tmp_path / 'new' / 'a.png'
    assert segment_digits.main([str(out), '--steps', '2']) == 0
    with Image.open(out) as image:
        assert image.width > 1000
    text = capsys.readouterr().out
    assert 'IoU of the foreground, deploy form' in text
    assert 'of 524288' in text
    assert [*out.parent.iterdir()] == [out]


@pytest.mark.parametrize(
    ('more', 'message'),
    [([], 'a.png.* exists.*--force'),
     (['--steps', '0', '--force'], '--steps 0.*at least 1')])
def test_wrong_arguments_are_refused_before_training(tmp_path, capsys, more,
                                                     message):
    out = tmp_path / 'a.png'
    out.write_text('precious')
    assert segment_digits.main([str(out), *more]) == 2
    assert out.read_text() == 'precious'
    assert re.search(message, capsys.readouterr().err)
