"""Reader of torch.export files, which torch loads by running code in them."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from . import ExportedModel, needs_trust


def read(path: Path, exact: bool, trust: bool) -> ExportedModel:
    """Read a torch.export file, which computes in its own precision.

    ``torch.export.load`` unpickles members and evaluates expressions (torch
    2.13, ``torch/export/pt2_archive/_package.py``).
    """
    if not trust:
        raise needs_trust(
            path, 'torch runs code that such a file may hold (.onnx and .xml '
            'files need no trust)')
    import torch
    program = torch.export.load(path)
    name, = program.graph_signature.user_inputs
    image = next(node.meta['val'] for node in program.graph.nodes
                 if node.name == name)
    module = program.module()

    @torch.inference_mode()
    def compute(images: np.ndarray) -> np.ndarray:
        return module(torch.from_numpy(images)).numpy()

    return ExportedModel(path, compute, tuple(image.shape[1:]),
                         str(image.dtype).removeprefix('torch.'))
