"""Classify images by an exported file, without the host."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmcls_repmlp.deploy.exported.card import (EMBEDDING, RAW, card_of,
                                               read_card)
from mmcls_repmlp.deploy.exported.load_exported import (ExportedModel,
                                                        check_format,
                                                        load_exported)
from mmcls_repmlp.deploy.exported.pixels import check_pipeline, read_pixels
from mmcls_repmlp.errors import JobFailedError, UserError, option

_TOP = 5
_NAMED = 3


def predict(exported: str | Path,
            images: Sequence[str | Path],
            trust: bool = False,
            report: Callable[[str], None] = print) -> None:
    """Report the likeliest classes of images.

    Args:
        exported: An exported file, with its card beside it.
        images: Image files.
        trust: Whether code in the file may run. Defaults to False.
        report: Called with a line for every image. Defaults to print.

    Raises:
        UserError: If a file is missing or does not fit another.
        JobFailedError: If the file or an image cannot be read, or it gives
            no numbers. All other images have been reported then.
    """
    for path in (exported, *images):
        if not Path(path).is_file():
            raise UserError(f'{str(path)!r} does not exist or is no file: '
                            'check the path')
    check_format(exported)
    card = read_card(exported)
    pipeline = _pipeline(exported, card)
    # Exact: what the file was verified as, and the same on every processor.
    run = load_exported(exported, exact=True, trust=trust)
    if run.shape not in (None, tuple(card['input_shape'])):
        raise UserError(f'{str(exported)!r} takes images of shape '
                        f'{run.shape}, and its card says '
                        f'{tuple(card["input_shape"])}: export again')
    failures = []
    for path in images:
        try:
            pixels = _prepare(read_pixels(path, pipeline), card, path)
            report(f'{path}: {_describe(_logits(run, pixels, path), card)}')
        except JobFailedError as error:
            failures.append(str(error))
    if failures:
        more = len(failures) - _NAMED
        raise JobFailedError('; '.join(failures[:_NAMED]) +
                             (f'; and {more} more' if more > 0 else ''))


def _pipeline(exported: str | Path,
              card: Mapping[str, Any]) -> list[dict[str, Any]]:
    if card['output'] == EMBEDDING:
        raise UserError(f'{str(exported)!r} gives vectors to compare images '
                        'by, not classes: there is nothing to predict')
    pipeline = card['pipeline']
    if isinstance(pipeline, str):
        raise UserError(f'images cannot be prepared for {str(exported)!r}, '
                        f'because {_printable(pipeline)}')
    try:
        check_pipeline(pipeline)
    except ValueError as error:
        raise JobFailedError(
            f'the pipeline in the card {str(card_of(exported))!r} cannot be '
            f'followed: export again ({error})') from error
    return pipeline


def _prepare(pixels: np.ndarray, card: Mapping[str, Any],
             path: str | Path) -> np.ndarray:
    """Make what the file takes of pixels in BGR order, shape (C, H, W)."""
    image = pixels.transpose(2, 0, 1)
    if list(image.shape) != card['input_shape']:
        raise JobFailedError(
            f'{str(path)!r} becomes an image of shape {image.shape} by the '
            "config's test pipeline, and the file takes "
            f'{tuple(card["input_shape"])}: give an image of another shape')
    if card['input'] == RAW or card['channels'] == 'RGB':
        image = image[::-1]
    if card['input'] == RAW:
        return image
    mean, std = (
        np.array(card[key], np.float32)[:, None, None]
        for key in ('mean', 'std'))
    with np.errstate(all='ignore'):  # what it gives is checked
        return (image.astype(np.float32) - mean) / std


def _logits(run: ExportedModel, image: np.ndarray,
            path: str | Path) -> np.ndarray:
    logits = run(image[None])
    if logits.ndim != 2 or not logits.size or not np.isfinite(logits).all():
        raise JobFailedError(f'{str(path)!r} gives NaN, infinity or no logits '
                             'at all: export again, in '
                             f'{option("precision", "fp32")}')
    return logits[0]


def _describe(logits: np.ndarray, card: Mapping[str, Any]) -> str:
    classes = card['classes'] or [f'class {i}' for i in range(len(logits))]
    if len(classes) != len(logits):
        raise UserError(f'the file gives {len(logits)} logits and its card '
                        f'names {len(classes)} classes: export again')
    scores = np.exp(logits - logits.max())
    scores /= scores.sum()
    return ', '.join(f'{_printable(classes[i])} {scores[i]:.1%}'
                     for i in np.argsort(-scores)[:_TOP])


def _printable(text: str) -> str:
    # A card is foreign: nothing in it may steer a terminal.
    return ''.join(c if c.isprintable() else '?' for c in text)
