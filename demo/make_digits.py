"""Write scikit-learn's handwritten digits as a folder of images."""
from __future__ import annotations

from repmlp_lite.signals import exit_on_stop

if __name__ == '__main__':
    exit_on_stop()  # before the other imports

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from digits import load_digits
from PIL import Image

DEFAULT_FOLDER = Path('data/digits')
_VAL_SHARE = 0.2


def write_digits(folder: Path, classes: Sequence[int] = range(10)) -> Path:
    """Write ``folder/{train,val}/{0..9}/NUMBER.png`` unless it is there.

    The 1797 images of 8x8 pixels in 17 grey levels come with scikit-learn
    (UCI ML hand-written digits, test set). One in five, the same share of
    every class, goes to ``val``.

    Args:
        folder: Where to write.
        classes: Digits to write, out of 0 to 9. Defaults to all.

    Returns:
        ``folder``.

    Raises:
        UserError: If scikit-learn is not installed.
    """
    if folder.exists():
        return folder
    digits = load_digits()
    from sklearn.model_selection import train_test_split
    splits = train_test_split(
        np.arange(len(digits.images)),
        test_size=_VAL_SHARE,
        stratify=digits.target,
        random_state=0)
    # Written beside and renamed, so that the folder is always complete.
    partial = folder.with_name(f'.{folder.name}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    for split, numbers in zip(('train', 'val'), splits):
        for number in numbers[np.isin(digits.target[numbers], classes)]:
            path = partial / split / str(digits.target[number])
            path.mkdir(parents=True, exist_ok=True)
            grey = np.round(digits.images[number] * (255 / 16))
            Image.fromarray(grey.astype(np.uint8)).save(path /
                                                        f'{number:04}.png')
    partial.rename(folder)
    return folder


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', nargs='?', type=Path, default=DEFAULT_FOLDER)
    parser.add_argument(
        '--classes',
        nargs='+',
        type=int,
        choices=range(10),
        default=range(10),
        help='digits to write; default: all')
    # Imported here, as the digits alone need no host.
    from repmlp_lite.command_line.run_tool import run_tool
    return run_tool(parser, _write, parser.parse_args(argv))


def _write(folder: Path, classes: Sequence[int]) -> None:
    write_digits(folder, classes)
    count = sum(1 for _ in folder.rglob('*.png'))
    print(f'{count} images in {folder}')


if __name__ == '__main__':
    sys.exit(main())
