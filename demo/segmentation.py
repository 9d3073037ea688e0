"""A segmenter of handwritten digits: scenes, model, training, score.

Shape letters: N batch, C channels, H W scene.
"""
from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812
from digits import load_digits
from torch import Tensor, nn

from mmcls_repmlp import RepMLPNet
from repmlp_lite.console import track

SIDE = 32  # pixels of a digit's side: the backbone's partition
ROWS, COLS = 2, 4  # digits down and across
TRAINING_DIGITS = 1400  # of 1797; the others are for testing
_ARCH = dict(
    channels=(16, 32, 64), depths=(1, 1, 1), sharesets_nums=(2, 8, 16))
_BATCH_SIZE = 8


class Segmenter(nn.Module):
    """RepMLPNet and a feature pyramid that ends in one logit per pixel.

    Args:
        channels: Channels of the pyramid. Defaults to 32.
    """

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.backbone = RepMLPNet(
            _ARCH,
            SIDE,
            in_channels=1,
            out_indices=(0, 1, 2),
            pad_to_multiple=True)
        self.lateral = nn.ModuleList(
            nn.Conv2d(c, channels, 1) for c in _ARCH['channels'])
        self.head = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits (N, 1, H, W) of foreground in images of any size."""
        maps = [
            conv(out) for conv, out in zip(self.lateral, self.backbone(images))
        ]
        top = maps.pop()
        while maps:
            finer = maps.pop()
            top = finer + _resized(top, finer)
        return _resized(self.head(top), images)


def make_scenes(count: int, train: bool, seed: int) -> tuple[Tensor, Tensor]:
    """Tile real digits into scenes under noise and uneven light.

    A digit is dark on light or light on dark at random, so that brightness
    alone does not separate foreground from background.

    Args:
        count: Number of scenes.
        train: Whether to take the digits for training, or those for testing.
        seed: Seed of the digits, the light and the noise.

    Returns:
        Images of shape (count, 1, ROWS * SIDE, COLS * SIDE) and masks of the
        same shape, 1 where a stroke is.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    pool = _digits()
    pool = pool[:TRAINING_DIGITS] if train else pool[TRAINING_DIGITS:]
    size = count * ROWS * COLS
    picked = pool[torch.randint(len(pool), (size, ), generator=generator)]
    strokes = F.interpolate(
        picked[:, None], scale_factor=SIDE / picked.shape[-1],
        mode='bicubic').clamp(0, 1)  # (size, 1, SIDE, SIDE)
    polarity = (draw(size, 1, 1, 1) < 0.5).float() * 2 - 1
    light = F.interpolate(
        draw(size, 1, 2, 2), size=SIDE, mode='bilinear',
        align_corners=True) - 0.5
    noise = torch.randn(strokes.shape, generator=generator)
    images = polarity * (2 * strokes - 1) + light + 0.5 * noise
    return _scenes(images), _scenes((strokes > 0.5).float())


def train(model: Segmenter, steps: int, seed: int = 0) -> list[float]:
    """Train on fresh scenes at every step.

    Args:
        model: The segmenter, in training form; left in eval mode.
        steps: Number of steps.
        seed: Seed of the scenes. Defaults to 0.

    Returns:
        The loss of every step.
    """
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses = []
    for step in track(range(steps), 'training', steps, unit='steps'):
        images, masks = make_scenes(_BATCH_SIZE, True, seed + step)
        loss = F.binary_cross_entropy_with_logits(model(images), masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    model.eval()
    return losses


def iou(predicted: Tensor, masks: Tensor) -> float:
    """Compute the IoU of the foreground over all scenes together."""
    predicted, masks = predicted.bool(), masks.bool()
    return float((predicted & masks).sum() / (predicted | masks).sum())


def best_threshold_iou(images: Tensor, masks: Tensor) -> float:
    """Compute the best IoU that one threshold of brightness reaches."""
    return max(
        iou(sign * (images - at) > 0, masks) for sign in (1, -1)
        for at in torch.linspace(-2, 2, 41))


@cache
def _digits() -> Tensor:
    return torch.from_numpy(load_digits().images).float() / 16  # (1797, 8, 8)


def _resized(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode='bilinear')


def _scenes(digits: Tensor) -> Tensor:
    tiles = digits.view(-1, ROWS, COLS, SIDE, SIDE)
    return tiles.permute(0, 1, 3, 2, 4).reshape(-1, 1, ROWS * SIDE,
                                                COLS * SIDE)  # (N, 1, H, W)
