"""Classify images: print the likeliest classes, draw or tabulate them."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mmcv
from matplotlib.figure import Figure

from repmlp_lite.batch_predict import (BATCH_SIZE, TOP, Outcome, batch_predict,
                                       check_batch_options)
from repmlp_lite.console import say
from repmlp_lite.errors import UserError, shorten
from repmlp_lite.files import atomic_write, check_suffix, check_writable
from repmlp_lite.image_files import find_images
from repmlp_lite.results import SUFFIXES

from .shared.classifier import Classifier, Prepared, read_image
from .shared.pictures import READABLE, fonts_for
from .shared.source import open_source

_PICTURES = ('.png', '.jpg', '.jpeg')


def classify_images(images: Sequence[str | Path],
                    config: str | Path | None,
                    checkpoint: str | Path,
                    *,
                    out: str | Path | None = None,
                    device: str = 'cpu',
                    key: str | None = None,
                    cfg_options: Mapping[str, Any] | None = None,
                    force: bool = False,
                    batch_size: int = BATCH_SIZE,
                    top_k: int = TOP) -> dict[Path, list[tuple[str, float]]]:
    """Classify images as the config's test pipeline prepares them.

    Print a line for each image, or for each class of a single image.

    Args:
        images: Image files, folders and patterns, as of :func:`find_images`.
        config: As of :func:`open_source`.
        checkpoint: As of :func:`open_source`, in the form of the config.
        out: Table to write, .csv or .json; of a single image also a picture,
            .png or .jpg. Defaults to none.
        device: Where the model runs. Defaults to 'cpu'.
        key: As of :func:`open_source`.
        cfg_options: As of :func:`open_source`.
        force: Whether ``out`` may be replaced. Defaults to False.
        batch_size: Number of images in a batch. Defaults to 16.
        top_k: Number of classes of each image. Defaults to 5.

    Returns:
        Names and scores of the likeliest classes by image, best first.

    Raises:
        UserError: If an argument cannot be used.
        JobFailedError: If images could not be read; all others are reported.
    """
    check_batch_options(batch_size, top_k)
    found = find_images(images)
    is_picture = Path(out or '').suffix.lower() in _PICTURES
    if is_picture and len(found) > 1:
        raise UserError(f'{len(found)} images cannot be drawn as one picture '
                        f'{str(out)!r}: end its name in '
                        f'{" or ".join(SUFFIXES)} for a table')
    if out is not None:
        check_suffix(out, (*_PICTURES, *SUFFIXES), 'a picture or a table')
        check_writable(out, force, config, *found)
    source = open_source(config, checkpoint, key, cfg_options)
    classifier = Classifier(source, device)
    results: dict[Path, list[tuple[str, float]]] = {}
    is_single = len(found) == 1 and (out is None or is_picture)

    def run(paths: list[Path], prepared: list[Prepared]) -> list[Outcome]:
        tops = [classifier.top(x, top_k) for x in classifier.run(prepared)]
        results.update(zip(paths, tops))
        if is_single:
            _show(paths[0], tops[0], out, force)
        return [*tops]

    if is_single:
        run(found, [classifier.prepare(found[0])])
    else:
        batch_predict(
            found,
            classifier.prepare,
            run,
            batch_size=batch_size,
            out=out,
            force=force)
    return results


def _show(image: Path, top: Sequence[tuple[str, float]],
          out: str | Path | None, force: bool) -> None:
    """Print a table of classes, or also draw it beside the image."""
    rows = [(shorten(name, 60), score) for name, score in top]
    column = max(len(name) for name, _ in (('class', 1), *rows))
    table = [
        f'{"class":{column}}   score',
        *(f'{name:{column}}  {score:6.1%}' for name, score in rows)
    ]
    say(*table)
    if out is None:
        return
    pixels = read_image(image)
    factor = max(1., READABLE / min(pixels.shape[:2]))
    pixels = mmcv.imrescale(pixels, factor, interpolation='nearest')
    height, width = (side / 100 for side in pixels.shape[:2])
    figure = Figure((width, height), 100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(pixels)
    axes.set_axis_off()
    with fonts_for(table) as fonts, atomic_write(out, force) as temporary:
        figure.text(
            1 + 0.08 * height / width,
            0.96,
            '\n'.join(table),
            va='top',
            family=['monospace', *fonts],
            size=3.6 * height,
            parse_math=False)
        figure.savefig(temporary, bbox_inches='tight', pad_inches=0)
    say(f'drawn to {out}')
