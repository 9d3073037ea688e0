"""Draw docs/injection.png: one output of a ResMLP's layer, before and after.

A small ResMLP is trained on scikit-learn's digits with locality injected, in
about a minute, and merged.
"""
from __future__ import annotations

from pathlib import Path

import matplotlib
import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mmcls_repmlp import inject_locality, reparameterize

SIDE, WIDTH, DEPTH, EPOCHS, TRAINING = 8, 48, 4, 40, 1437
OUT = Path(__file__).with_name('injection.png')


class ResBlock(nn.Module):
    """Block of ResMLP (arXiv 2105.03404), with the names of timm."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.linear_tokens = nn.Linear(SIDE**2, SIDE**2)
        self.mlp_channels = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(),
            nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, positions, channels) to the same shape."""
        x = x + self.linear_tokens(self.norm1(x).mT).mT
        return x + self.mlp_channels(self.norm2(x))


class ResMLP(nn.Module):
    """Pixels as tokens, blocks, and a classifier of their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(1, WIDTH)
        self.blocks = nn.Sequential(*(ResBlock() for _ in range(DEPTH)))
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, positions) to logits (N, 10)."""
        return self.head(self.blocks(self.stem(images[..., None])).mean(1))


def train(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Train on the first digits, and leave the model in eval mode."""
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        for batch in torch.randperm(TRAINING).split(64):
            optimizer.zero_grad()
            cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
        schedule.step()
    model.eval()


def main() -> None:
    """Train with and without convolutions, print the scores, and draw."""
    digits = load_digits()
    images = torch.from_numpy(digits.data).float() / 16
    labels = torch.from_numpy(digits.target)
    models: list[nn.Module] = []
    for injected in (False, True):
        torch.manual_seed(0)
        model: nn.Module = ResMLP()
        if injected:
            model = inject_locality(model, (1, 3), start='random')
        train(model, images, labels)
        models.append(model)
    merged = reparameterize(models[1])
    for name, each in zip(('plain', 'injected', 'merged'), (*models, merged)):
        with torch.no_grad():
            hits = each(images[TRAINING:]).argmax(1) == labels[TRAINING:]
        print(f'{name}: {100 * hits.double().mean():.2f} % of '
              f'{len(hits)} new digits')
    draw([
        model.state_dict()['blocks.0.linear_tokens.weight']
        for model in (models[0], models[1], merged)
    ])


def draw(weights: list[Tensor]) -> None:
    """Draw the weights of the output in the middle."""
    matplotlib.use('agg')
    at = SIDE * (SIDE // 2) + SIDE // 2
    largest = max(float(weight[at].abs().max()) for weight in weights)
    figure = Figure((9, 3.4), layout='constrained')
    titles = ('trained alone', 'trained with convolutions beside it',
              'convolutions merged into it')
    for axes, weight, title in zip(figure.subplots(1, 3), weights, titles):
        image = axes.imshow(
            weight[at].view(SIDE, SIDE),
            cmap='RdBu',
            vmin=-largest,
            vmax=largest)
        axes.set_title(title, fontsize='medium')
        axes.set(xticks=[], yticks=[])
        axes.plot(SIDE // 2, SIDE // 2, '+', color='black')
    figure.colorbar(image, label='weight')
    figure.suptitle('Weights of the output at + in the first layer over '
                    'positions')
    figure.savefig(OUT, dpi=100)


if __name__ == '__main__':
    main()
