import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from mmcls_repmlp.jobs.export import write_int8 as quantize
from mmcls_repmlp.jobs.export.export import export_checkpoint
from mmcls_repmlp.jobs.export.sample_data import labelled_batches
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.data import open_loader
from repmlp_lite.errors import JobFailedError, UserError
from repmlp_lite.exported.card import card_of
from repmlp_lite.exported.load_exported import load_exported
from tests.helpers import load_model

pytestmark = pytest.mark.filterwarnings('ignore')


def export(project, out, **kwargs):
    options = dict(precision='int8', calibrate=project.data / 'train')
    options.update(kwargs)
    export_checkpoint(project.config, project.trained, out, **options)


@pytest.mark.slow
@torch.no_grad()
def test_accuracy_is_printed_before_and_after(project, data, tmp_path,
                                              monkeypatch, capsys):
    # The quick model guesses, so that a point lost tells nothing.
    monkeypatch.setattr(quantize, 'ALLOWED_LOSS', 100.)
    model = load_model(project.config, project.trained)
    loader = open_loader(read_config(project.config), 'test')
    hits = []
    for images, labels in labelled_batches(loader, model, False):
        logits = model(torch.from_numpy(images)).numpy()
        hits += [*(logits.argmax(1) == labels)[labels != 3]]
    # Labels stay those of the checkpoint where a class is missing.
    shutil.rmtree(data / 'val' / '3')
    path = tmp_path / 'out' / 'a.onnx'
    root = {'test_dataloader.dataset.data_root': str(data)}
    export(project, path, with_preprocess=True, cfg_options=root)
    printed = capsys.readouterr().out
    assert len(hits) == 18
    assert f' {100 * np.mean(hits):.2f} % in float32' in printed
    assert '% in int8, the same on every processor' in printed
    assert callable(load_exported(path))
    assert {*path.parent.iterdir()} == {path, card_of(path)}


def right(count, shift=0.):
    """A file that is right wherever the label is below a number."""
    return lambda images: np.stack([images < count, images >= count], 1) + (
        shift if len(images) == 4 else 0.)  # in the second batch alone


@pytest.mark.parametrize(('float32', 'exact', 'optimised', 'message'), [
    (right(9), right(8), right(9), 'int8 loses 10.00 points'),
    (right(9), right(9), right(6), 'int8 loses 30.00 points'),
    (right(8), right(8), right(8, np.nan), 'nan .*from exact integers'),
])
def test_nothing_is_written_when_too_much_is_lost(project, tmp_path,
                                                  monkeypatch, float32, exact,
                                                  optimised, message):
    # Ten images, which are numbers here, in two batches; the label is 0.
    batches = [(images, np.zeros(len(images)))
               for images in (np.arange(6), np.arange(6, 10))]
    for name, value in (('labelled_batches', batches), ('load_exact', exact),
                        ('export_model', None), ('quantize_onnx', None)):
        monkeypatch.setattr(
            quantize, name, lambda *_, value=value, **__: value)
    monkeypatch.setattr(
        quantize, 'load_exported', lambda path: float32
        if path.parent.name == 'float32' else optimised)
    with pytest.raises(JobFailedError, match=message):
        export(project, tmp_path / 'a.onnx')
    assert not any(tmp_path.iterdir())


def test_ranges_are_set_by_images_of_every_class(project, tmp_path,
                                                 monkeypatch):

    def look(exact, small, batches):
        raise UserError(f'greys: {len(np.unique(next(batches)))}')

    monkeypatch.setattr(quantize, 'export_model', lambda *_, **__: None)
    monkeypatch.setattr(quantize, 'quantize_onnx', look)
    for label, grey in (('black', 0), ('white', 255)):
        folder = tmp_path / 'data' / label
        folder.mkdir(parents=True)
        for i in range(20):
            Image.new('L', (32, 32), grey).save(folder / f'{i}.png')
    with pytest.raises(UserError, match='greys: 2'):
        export(project, tmp_path / 'a.onnx', calibrate=tmp_path / 'data')
