"""Print the likeliest classes of images, by an exported file.

Needs the file's runtime, numpy and Pillow; neither mmcls nor mmcls_repmlp.
"""
from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image, UnidentifiedImageError

_TOP = 5
# Loaded by its path: importing it through its package would import mmcls.
_LOADER = (Path(__file__).resolve().parents[2]
           / 'mmcls_repmlp/deploy/artefact.py')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'artefact', type=Path, help='exported file, with its .json beside it')
    parser.add_argument('images', nargs='+', type=Path, metavar='image')
    args = parser.parse_args(argv)
    loader = _load_loader()
    card_path = Path(f'{args.artefact}.json')
    for path in (args.artefact, card_path, *args.images):
        if not path.is_file():
            parser.error(f'{str(path)!r} does not exist: check the path')
    if args.artefact.suffix not in loader.RUNTIMES:
        parser.error(f'{str(args.artefact)!r} is no exported file: expected '
                     f'one of {", ".join(loader.RUNTIMES)}')
    card = json.loads(card_path.read_text())
    if card.get('output') == 'embedding':
        parser.error(f'{str(args.artefact)!r} gives vectors to compare images '
                     'by, not classes: there is nothing to predict')
    run = loader.load_artefact(args.artefact)
    for path in args.images:
        try:
            logits = run(_read(path, card)[None])[0]
        except UnidentifiedImageError:
            parser.error(f'{str(path)!r} is no image')
        print(f'{path}: {_describe(logits, card["classes"])}')
    return 0


def _load_loader() -> ModuleType:
    spec = importlib.util.spec_from_file_location('artefact', _LOADER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _read(path: Path, card: dict) -> np.ndarray:
    _, height, width = card['input_shape']
    with Image.open(path) as image:
        resized = image.convert('RGB').resize(
            (width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(resized).transpose(2, 0, 1)  # (3, H, W), RGB
    if card['input'] == 'uint8 RGB':
        return np.ascontiguousarray(pixels)
    if card['channels'] == 'BGR':
        pixels = pixels[::-1]
    mean, std = (np.array(card[key], np.float32)[:, None, None]
                 for key in ('mean', 'std'))
    return ((pixels - mean) / std).astype(np.float32)


def _describe(logits: np.ndarray, classes: list[str]) -> str:
    scores = np.exp(logits - logits.max())
    scores /= scores.sum()
    return ', '.join(
        f'{classes[i] if classes else f"class {i}"} {scores[i]:.1%}'
        for i in np.argsort(-scores)[:_TOP])


if __name__ == '__main__':
    sys.exit(main())
