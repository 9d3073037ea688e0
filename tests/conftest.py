"""Fixtures: a small project on real digits, made once, and others."""
from __future__ import annotations

import gc
import io
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from make_digits import write_digits
from matplotlib.figure import Figure
from mmengine.config import config
from PIL import Image
from torch import nn

import mmcls_repmlp  # noqa: F401  (registers the models)
from mmcls_repmlp.export.export_model import export_model
from mmcls_repmlp.export.export_wrapper import ExportWrapper
from mmcls_repmlp.jobs.reparameterize_model import reparameterize_checkpoint
from mmcls_repmlp.jobs.testing import confusion_matrix
from mmcls_repmlp.jobs.train import curves
from mmcls_repmlp.jobs.train.train import train
from repmlp_lite import console
from repmlp_lite.exported.load_exported import RUNTIMES, load_exported
from tests.helpers import ROOT, quick_loaders, write_config
from tests.web import serve

# The suite runs in several processes. OMP_NUM_THREADS chooses otherwise.
if 'OMP_NUM_THREADS' not in os.environ:
    torch.set_num_threads(1)

# mmengine formats a config by yapf for every log and every checkpoint, which
# takes longer than the training runs here.
config.FormatCode = lambda text, **_: (text, True)

# Folders and modules whose tests run whole jobs, models of full size, or
# exports; names in modules whose tests start processes or train; and words in
# the names of tests that compile, which starts processes too.
_HEAVY_PLACES = {
    'jobs', 'configs', 'demo', 'docs', 'export', 'exported', 'tools',
    'test_docs.py', 'test_model_index.py'
}
_HEAVY_NAMES = {'subprocess', 'run_python', 'Runner', 'train'}
_HEAVY_WORDS = ('compile', 'export')


def pytest_collection_modifyitems(items):
    """Mark the tests that ``make quick`` leaves out."""
    # mmengine collects garbage for every data set, among all that is imported.
    gc.freeze()
    for item in items:
        place = item.path.relative_to(ROOT / 'tests').parts
        if (_HEAVY_PLACES & {*place} or _HEAVY_NAMES & {*vars(item.module)}
                or 'project' in item.fixturenames
                or any(word in item.name for word in _HEAVY_WORDS)):
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
        for label in (folder / split).iterdir():
            for image in sorted(label.iterdir())[count:]:
                image.unlink()
    return folder


@pytest.fixture(scope='session')
def project(tmp_path_factory, digits):
    """Configs, and checkpoints of a model trained for two epochs."""
    folder = tmp_path_factory.mktemp('project')
    # As the demo's config, but quick: few images, short, no processes.
    for name in ('', '_deploy'):
        write_config(
            folder / f'quick{name}.py',
            f'repmlp-mini{name}_1xb64_digits-32px.py',
            **quick_loaders(digits, batch_size=16),
            param_scheduler=[],
            train_cfg=dict(max_epochs=2),
            default_hooks=dict(checkpoint=dict(max_keep_ckpts=2)))
    made = Project(folder, digits, folder / 'quick.py',
                   folder / 'quick_deploy.py', folder / 'work' / 'epoch_2.pth',
                   folder / 'merged.pth', folder / 'work')
    train(made.config, work_dir=str(made.work_dir), seed=0, no_test=True)
    reparameterize_checkpoint(made.config, made.trained, made.merged)
    return made


@pytest.fixture
def folder(project, tmp_path):
    """A copy of the work folder of a training run."""
    return Path(shutil.copytree(project.work_dir, tmp_path / 'work'))


@pytest.fixture
def image(digits):
    """A handwritten 3."""
    return min(digits.glob('val/3/*.png'))


@pytest.fixture
def data(digits, tmp_path):
    """A copy of the digits, for a test to spoil."""
    return shutil.copytree(digits, tmp_path / 'data')


class Exported(NamedTuple):
    """Files of a tiny model, images, and the logits it has for them."""
    folder: Path
    images: np.ndarray
    expected: np.ndarray

    def check(self, path, **how):
        """Load a file and compare what it computes with the model."""
        actual = load_exported(path, **how)(self.images)
        np.testing.assert_allclose(actual, self.expected, atol=1e-5)


@pytest.fixture(scope='session')
def exported(tmp_path_factory):
    """``m.onnx``, ``m.xml`` and ``m.pt2`` of a tiny model."""
    torch.manual_seed(0)
    model = ExportWrapper(
        nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Flatten(),
            nn.Linear(36, 5)))
    folder = tmp_path_factory.mktemp('exported')
    for suffix in RUNTIMES:
        export_model(model, folder / f'm{suffix}', (3, 8, 8))
    images = torch.randn(3, 3, 8, 8)
    with torch.no_grad():
        return Exported(folder, images.numpy(), model(images).numpy())


@pytest.fixture
def card():
    """A good card, but for its digests."""
    return dict(
        input_shape=[3, 8, 8],
        input='float32, normalised',
        mean=[0.],
        std=[1.],
        channels='RGB',
        output='logits',
        classes=['a', 'b'],
        pipeline='none')


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
        labels = tmp_path / 'meta' / f'{split}.txt'
        labels.write_text('0.JPEG 3\n1.JPEG 14\n')
    return tmp_path


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A web of files, none yet, and an empty cache of downloads."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    with serve() as served:
        yield served


@pytest.fixture
def marker(tmp_path):
    """A file that only hostile code would make."""
    path = tmp_path / 'ran'
    yield path
    assert not path.exists(), 'code out of a file was run'


@pytest.fixture
def work_dir(tmp_path):
    """A fresh folder for logs, removed at once: logs add up."""
    yield str(tmp_path / 'work')
    shutil.rmtree(tmp_path / 'work', ignore_errors=True)


@pytest.fixture(autouse=True)
def blank_pictures(request, monkeypatch):
    """Leave pictures of runs blank, which take as long as the runs here."""

    blank = SimpleNamespace(savefig=lambda path, **_: path.touch())
    if 'figures' not in request.fixturenames:
        for module in (confusion_matrix, curves):
            monkeypatch.setattr(module, '_draw', lambda *_: blank)


@pytest.fixture
def figures(monkeypatch):
    """The figures that are written, beside the files."""
    written, write = [], Figure.savefig

    def savefig(figure, *args, **kwargs):
        written.append(figure)
        write(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, 'savefig', savefig)
    return written


@pytest.fixture
def terminal(monkeypatch):
    """A terminal in the place of stderr, which pytest would put back."""
    stderr = io.StringIO()
    stderr.isatty = lambda: True

    class System:

        def __getattr__(self, name):
            return stderr if name == 'stderr' else getattr(sys, name)

    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setattr(console, 'sys', System())
    return stderr
