"""What is found out about an image; nothing heavy is needed."""
from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Classified(NamedTuple):
    """An image with its likeliest classes and their scores, best first."""
    image: Path
    top: list[tuple[str, float]]
