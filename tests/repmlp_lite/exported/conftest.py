"""A tiny model in every format, for readers to be attacked with."""
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from mmcls_repmlp.export.export_model import export_model
from mmcls_repmlp.export.export_wrapper import ExportWrapper
from repmlp_lite.exported.load_exported import load_exported

SHAPE = (3, 8, 8)


class Exported(NamedTuple):
    folder: Path
    images: np.ndarray
    expected: np.ndarray

    def check(self, path, **how):
        """Load a file and hold what it computes against the model."""
        actual = load_exported(path, **how)(self.images)
        np.testing.assert_allclose(actual, self.expected, atol=1e-5)


@pytest.fixture(scope='session')
def exported(tmp_path_factory):
    """``m.onnx``, ``m.xml``, ``m.pt2`` and ``m.pt``, and what they compute."""
    torch.manual_seed(0)
    model = ExportWrapper(
        nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Flatten(),
            nn.Linear(36, 5)))
    folder = tmp_path_factory.mktemp('exported')
    for suffix in ('.onnx', '.xml', '.pt2', '.pt'):
        export_model(model, folder / f'm{suffix}', SHAPE)
    images = torch.randn(3, *SHAPE)
    with torch.no_grad():
        return Exported(folder, images.numpy(), model(images).numpy())


@pytest.fixture
def rezip(exported, tmp_path):
    """Copy one of these with members replaced, changed or added."""

    def copy(name, changes):
        with zipfile.ZipFile(exported.folder / name) as old:
            members = {
                member.partition('/')[2]: old.read(member)
                for member in old.namelist()
            }
        for member, change in changes.items():
            members[member] = change(
                members[member]) if callable(change) else change
        with zipfile.ZipFile(tmp_path / name, 'w') as new:
            for member, data in members.items():
                new.writestr(f'm/{member}', data)
        return tmp_path / name

    return copy


@pytest.fixture
def card():
    """What a good card says, beside its digests."""
    return dict(
        input_shape=list(SHAPE),
        input='float32, normalised',
        mean=[0.],
        std=[1.],
        channels='RGB',
        output='logits',
        classes=['a', 'b'],
        pipeline='none')
