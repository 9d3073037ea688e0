"""Choices of the benchmarks' options; imports nothing heavy."""
from __future__ import annotations

from typing import NamedTuple

DTYPES = ('float32', 'bfloat16', 'float16')


class Layer(NamedTuple):
    """Sizes of an fc3.

    Attributes:
        rows: Rows per image: C / S times the partitions of RepMLPNet, or the
            partitions of the first paper's block.
        sets: Sharesets, or groups.
        inputs: Inputs, and outputs, of each.
    """
    rows: int
    sets: int
    inputs: int


# RepMLP-B at 224 pixels, stage by stage, and RepMLP-ResNet-50 light's c3 and
# c4 with 4 and with 8 groups.
LAYERS = {
    'b224.1': Layer(96, 1, 3136),
    'b224.2': Layer(48, 4, 784),
    'b224.3': Layer(12, 32, 196),
    'b224.4': Layer(6, 128, 49),
    'light-g4.c3': Layer(16, 4, 784),
    'light-g4.c4': Layer(4, 4, 1568),
    'light-g8.c3': Layer(16, 8, 392),
    'light-g8.c4': Layer(4, 8, 784),
}
