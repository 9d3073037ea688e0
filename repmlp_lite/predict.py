"""Classification of images by an exported file, without the host."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .batch_predict import (BATCH_SIZE, TOP, Outcome, batch_predict,
                            check_batch_options)
from .errors import JobFailedError, UserError, option, printable, translate
from .exported.card import EMBEDDING, RAW, card_of, read_card
from .exported.load_exported import load_exported
from .exported.pixels import check_pipeline, read_pixels
from .image_files import find_images
from .results import check_results


def predict(exported: str | Path,
            images: Sequence[str | Path],
            *,
            trust: bool = False,
            out: str | Path | None = None,
            force: bool = False,
            batch_size: int = BATCH_SIZE,
            top_k: int = TOP) -> None:
    """Print the likeliest classes of images, or write them to a table.

    Args:
        exported: An exported file, with its card beside it.
        images: Image files, folders and patterns, as
            :func:`repmlp_lite.image_files.find_images` takes them.
        trust: Whether code in the file may run, which a .pt2 file needs.
            Defaults to False.
        out: Table to write, .csv or .json. Defaults to none.
        force: Whether ``out`` may be replaced. Defaults to False.
        batch_size: Number of images in a batch. Defaults to 16.
        top_k: Number of classes for each image. Defaults to 5.

    Raises:
        UserError: If a file is missing or does not fit another.
        JobFailedError: If the file or an image cannot be read, or its output
            is NaN or infinite. All other images have been classified then.
    """
    check_batch_options(batch_size, top_k)
    if out is not None:
        check_results(out, force, exported, card_of(exported), *images)
    # In the precision that was verified, the same on every processor.
    run = load_exported(exported, exact=True, trust=trust)
    found = find_images(images)
    card = read_card(exported)
    pipeline = _checked_pipeline(exported, card)
    if run.shape != tuple(card['input_shape']):
        raise UserError(f'{str(exported)!r} takes images of shape '
                        f'{run.shape}, and its card says '
                        f'{tuple(card["input_shape"])}: export again')

    def prepare(path: Path) -> np.ndarray:
        return _prepare(read_pixels(path, pipeline), card, path)

    def classify(paths: list[Path], ready: list[np.ndarray]) -> list[Outcome]:
        logits = run(np.stack(ready))
        if logits.ndim != 2 or len(logits) != len(ready):
            raise JobFailedError(f'{len(ready)} images give an array of shape '
                                 f'{logits.shape}, not logits: export again')
        return [
            _top_k(row, card, path, top_k) for path, row in zip(paths, logits)
        ]

    batch_predict(found, prepare, classify, batch_size, out, force)


def _checked_pipeline(exported: str | Path,
                      card: Mapping[str, Any]) -> list[dict[str, Any]]:
    if card['output'] == EMBEDDING:
        raise UserError(f'{str(exported)!r} gives embeddings, not classes: '
                        'there is nothing to predict')
    pipeline = card['pipeline']
    if isinstance(pipeline, str):
        raise UserError(f'images cannot be prepared for {str(exported)!r}, '
                        f'because {printable(pipeline)}')
    with translate(
            JobFailedError, 'the pipeline in the card '
            f'{str(card_of(exported))!r} cannot be followed, so export again',
            ValueError):
        check_pipeline(pipeline)
    return pipeline


def _prepare(pixels: np.ndarray, card: Mapping[str, Any],
             path: str | Path) -> np.ndarray:
    """Convert BGR pixels (H, W, C) to the input of the file, (C, H, W)."""
    image = pixels.transpose(2, 0, 1)
    if list(image.shape) != card['input_shape']:
        raise JobFailedError(
            f'{str(path)!r} becomes an image of shape {image.shape} by the '
            "config's test pipeline, and the file takes "
            f'{tuple(card["input_shape"])}: give an image of another shape')
    if card['channels'] == 'RGB':
        image = image[::-1]
    if card['input'] == RAW:
        return image
    mean, std = (
        np.array(card[key], np.float32)[:, None, None]
        for key in ('mean', 'std'))
    with np.errstate(all='ignore'):  # the logits are checked
        return (image.astype(np.float32) - mean) / std


def _top_k(logits: np.ndarray, card: Mapping[str, Any], path: Path,
           top_k: int) -> Outcome:
    if not logits.size or not np.isfinite(logits).all():
        return JobFailedError(f'{str(path)!r} gives NaN, infinity or no '
                              'logits at all: export again, in '
                              f'{option("precision", "fp32")}')
    classes = card['classes'] or [f'class {i}' for i in range(len(logits))]
    if len(classes) != len(logits):
        raise UserError(f'the file gives {len(logits)} logits and its card '
                        f'names {len(classes)} classes: export again')
    scores = np.exp(logits - logits.max())
    scores /= scores.sum()
    return [(classes[i], float(scores[i]))
            for i in np.argsort(-scores)[:top_k].tolist()]
