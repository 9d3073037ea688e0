"""A tiny model in every format, for readers to be attacked with."""
import zipfile
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from mmcls_repmlp.deploy.exported.export_model import export_model
from mmcls_repmlp.deploy.exported.export_wrapper import ExportWrapper

SHAPE = (3, 8, 8)


class Exported(NamedTuple):
    folder: object
    images: np.ndarray
    expected: np.ndarray


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
def rezip(tmp_path):
    """Copy an archive with members replaced, changed or added."""

    def copy(source, changes):
        target = tmp_path / source.name
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(target,
                                                             'w') as new:
            members = {
                name.partition('/')[2]: old.read(name)
                for name in old.namelist()
            }
            for name, change in changes.items():
                members[name] = change(
                    members[name]) if callable(change) else change
            for name, data in members.items():
                new.writestr(f'm/{name}', data)
        return target

    return copy
