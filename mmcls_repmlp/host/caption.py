"""Position and size of words in a picture."""
from typing import NamedTuple


class Caption(NamedTuple):
    """Black words without a frame.

    Attributes:
        position: Their upper left corner (x, y), in pixels.
        size: Size of the letters, in points.
    """
    position: tuple[float, float]
    size: float
