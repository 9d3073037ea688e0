"""A small project on real digits, made once for all tests that run jobs."""
from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from make_digits import write_digits
from mmcls.visualization import ClsVisualizer
from PIL import Image

import mmcls_repmlp  # noqa: F401  (registers the models)
from mmcls_repmlp.apis.reparameterize_model import reparameterize_checkpoint
from mmcls_repmlp.apis.train import train
from tests.helpers import ROOT
from tests.web import serve

# The suite runs in several processes. OMP_NUM_THREADS chooses otherwise.
if 'OMP_NUM_THREADS' not in os.environ:
    torch.set_num_threads(1)

_CONFIGS = ROOT / 'configs' / 'repmlp'
_EPOCHS = 2
# As the demo's config, but quick: few images, short, no loader processes.
_QUICK = """
_base_ = {base!r}
_data = dict(
    batch_size=16, num_workers=0, persistent_workers=False,
    dataset=dict(data_root={data!r}))
train_dataloader = _data
val_dataloader = _data
test_dataloader = _data
param_scheduler = []
train_cfg = dict(max_epochs={epochs})
default_hooks = dict(checkpoint=dict(max_keep_ckpts=2))
"""

# Where jobs run whole, or models have their true size; and what other modules
# have at hand whose tests start processes or train.
_HEAVY_FOLDERS = {'apis', 'configs', 'demo', 'docs', 'tools'}
_HEAVY_NAMES = {'subprocess', 'Runner', 'train'}


def pytest_collection_modifyitems(items):
    """Mark what ``make quick`` leaves out."""
    for item in items:
        folders = item.path.relative_to(ROOT / 'tests').parts
        if (_HEAVY_FOLDERS & {*folders} or _HEAVY_NAMES & {*vars(item.module)}
                or 'project' in item.fixturenames):
            item.add_marker('heavy')


class Project(NamedTuple):
    """Paths of a trained and converted model on digits."""
    folder: Path
    data: Path
    config: Path
    deploy_config: Path
    trained: Path
    merged: Path
    work_dir: Path


@pytest.fixture(scope='session')
def digits(tmp_path_factory):
    """Forty images to train on, twenty to validate, two of each class."""
    folder = write_digits(tmp_path_factory.mktemp('data') / 'digits')
    for split, count in (('train', 4), ('val', 2)):
        for label in range(10):
            images = sorted((folder / split / str(label)).iterdir())
            for image in images[count:]:
                image.unlink()
    return folder


@pytest.fixture(scope='session')
def project(tmp_path_factory, digits):
    """Configs, and checkpoints of a model trained for two epochs."""
    folder = tmp_path_factory.mktemp('project')
    for name in ('', '_deploy'):
        base = _CONFIGS / f'repmlp-mini{name}_1xb64_digits-32px.py'
        (folder / f'quick{name}.py').write_text(
            _QUICK.format(base=str(base), data=str(digits), epochs=_EPOCHS))
    made = Project(folder, digits, folder / 'quick.py',
                   folder / 'quick_deploy.py',
                   folder / 'work' / f'epoch_{_EPOCHS}.pth',
                   folder / 'merged.pth', folder / 'work')
    train(made.config, work_dir=str(made.work_dir), seed=0)
    reparameterize_checkpoint(
        made.config, made.trained, made.merged, report=lambda line: None)
    return made


@pytest.fixture
def imagenet(tmp_path):
    """Two images to train on and two to test, in ImageNet's layout."""
    numbers = np.random.default_rng(0)
    (tmp_path / 'meta').mkdir()
    for split in ('train', 'val'):
        (tmp_path / split).mkdir()
        for i in range(2):
            pixels = numbers.integers(0, 256, (300, 250, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / split / f'{i}.JPEG')
        (tmp_path / 'meta' /
         f'{split}.txt').write_text('0.JPEG 3\n1.JPEG 14\n')
    return tmp_path


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A web of files, none yet, and an empty cache of what was fetched."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    with serve() as served:
        yield served


@pytest.fixture(autouse=True)
def _forget_visualizers():
    """Let the next test draw elsewhere than this one, in the same second.

    mmengine keeps visualizers, with their folders, by the time of day.
    """
    yield
    ClsVisualizer._instance_dict.clear()


@pytest.fixture
def work_dir(tmp_path):
    """A fresh folder for logs, removed at once: logs add up."""
    yield str(tmp_path / 'work')
    shutil.rmtree(tmp_path / 'work', ignore_errors=True)
