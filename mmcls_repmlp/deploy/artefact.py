"""Run exported files, with their own runtime and nothing of mmcls.

This module imports neither mmcls nor this package, so that a program which
serves a file can use it alone.
"""
from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

Run = Callable[[np.ndarray], np.ndarray]

# What runs a format, and the package it comes in.
RUNTIMES = {'.onnx': 'onnxruntime', '.xml': 'openvino', '.pt2': 'torch',
            '.pt': 'torch'}


def missing_packages(suffix: str) -> list[str]:
    """Name the packages that a format needs and that are not installed."""
    needed = [RUNTIMES[suffix]]
    if suffix == '.onnx':
        needed += ['onnx', 'onnxscript']
    return [name for name in needed if find_spec(name) is None]


def load_artefact(path: str | Path, exact: bool = False) -> Run:
    """Load an exported file with the runtime that its suffix names.

    Args:
        path: A file that ends in .onnx, .xml, .pt2 or .pt.
        exact: Whether to compute in the precision of the file. OpenVINO by
            itself uses bfloat16 where the CPU has it. Defaults to False.

    Returns:
        A function from a batch of images (N, 3, H, W) to logits (N, classes),
        on the CPU.
    """
    load = {'.onnx': _onnx, '.xml': _openvino, '.pt2': _exported_program,
            '.pt': _torchscript}
    return load[Path(path).suffix](Path(path), exact)


def _onnx(path: Path, exact: bool) -> Run:
    import onnxruntime
    session = onnxruntime.InferenceSession(
        str(path), providers=['CPUExecutionProvider'])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]


def _openvino(path: Path, exact: bool) -> Run:
    import openvino
    config = {'INFERENCE_PRECISION_HINT': 'f32'} if exact else {}
    model = openvino.Core().compile_model(str(path), 'CPU', config)
    # Copied: the runtime writes the next result into the same memory.
    return lambda images: model(images)[0].copy()


def _exported_program(path: Path, exact: bool) -> Run:
    import torch
    return _torch_run(torch.export.load(path).module())


def _torchscript(path: Path, exact: bool) -> Run:
    import torch
    return _torch_run(torch.jit.load(path))


def _torch_run(module: Callable) -> Run:
    import torch

    @torch.inference_mode()
    def run(images: np.ndarray) -> np.ndarray:
        return module(torch.from_numpy(images)).numpy()

    return run
