import numpy as np
import pytest
import torch
from mmcls.models import build_classifier

from mmcls_repmlp import fuse_for_inference
from mmcls_repmlp.deploy import artefact, export
from mmcls_repmlp.deploy.artefact import RUNTIMES, load_artefact
from mmcls_repmlp.deploy.export import export_model
from mmcls_repmlp.deploy.served import Served
from mmcls_repmlp.errors import JobFailedError, UserError
from tests.helpers import TINY_CFG, random_model

SHAPE = (3, 32, 32)


def build(**cfg):
    model = random_model(lambda: build_classifier(dict(
        type='ImageClassifier',
        backbone=dict(type='RepMLPNet', **TINY_CFG, **cfg),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=5, in_channels=32))))
    return Served(fuse_for_inference(model).float())


@pytest.fixture
def served():
    return build()


def files(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize('suffix', RUNTIMES)
@pytest.mark.parametrize('raw', [False, True])
def test_written_file_computes_the_same_on_any_batch(
        served, tmp_path, suffix, raw):
    if raw:
        served = Served(served.model, [100.] * 3, [50.] * 3)
    path = tmp_path / f'model{suffix}'
    assert export_model(served, path, SHAPE) < 1e-4
    run = load_artefact(path, exact=True)
    images = torch.randint(256, (7, *SHAPE), dtype=torch.uint8)
    images = images if raw else images.float() / 128 - 1
    expected = served(images).numpy()
    np.testing.assert_allclose(run(images.numpy()), expected,
                               atol=1e-4 * np.abs(expected).max())
    assert files(tmp_path) == {path.name} | (
        {'model.bin'} if suffix == '.xml' else set())


@pytest.mark.parametrize('suffix', ['.onnx', '.pt2', '.pt'])
def test_padding_is_part_of_the_file(tmp_path, suffix):
    shape = (3, 40, 50)
    served = build(pad_to_multiple=True)
    path = tmp_path / f'model{suffix}'
    assert export_model(served, path, shape) < 1e-4
    images = torch.rand(3, *shape)
    expected = served(images).numpy()
    np.testing.assert_allclose(
        load_artefact(path, exact=True)(images.numpy()), expected,
        atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(('suffix', 'dtype'), [
    ('.onnx', torch.float16), ('.pt2', torch.bfloat16),
    ('.pt', torch.float16)])
def test_half_precision(served, tmp_path, suffix, dtype):
    served = Served(served.model.to(dtype))
    path = tmp_path / f'model{suffix}'
    export_model(served, path, SHAPE)
    out = load_artefact(path)(np.ones((2, *SHAPE), np.float32))
    assert out.dtype == np.float32


@pytest.mark.parametrize('suffix', RUNTIMES)
def test_a_file_that_differs_is_not_left(
        served, tmp_path, suffix, monkeypatch):
    write = export._WRITERS[suffix]

    def sabotaged(model, path, shape):
        with torch.no_grad():
            model.model.weight[0] += 1
            write(model, path, shape)
            model.model.weight[0] -= 1

    monkeypatch.setitem(export._WRITERS, suffix, sabotaged)
    with pytest.raises(JobFailedError, match='differs .* nothing was written'):
        export_model(served, tmp_path / f'model{suffix}', SHAPE)
    assert files(tmp_path) == set()


def test_undefined_outputs_are_no_agreement(served, tmp_path):
    with torch.no_grad():
        served.model.weight[0, 0] = float('nan')
    with pytest.raises(JobFailedError, match='differs'):
        export_model(served, tmp_path / 'model.pt2', SHAPE)


@pytest.mark.parametrize(('name', 'there'), [
    ('a.pt', 'a.pt'), ('a.xml', 'a.xml'), ('a.xml', 'a.bin')])
def test_files_are_replaced_only_by_force(served, tmp_path, name, there):
    (tmp_path / there).write_text('precious')
    with pytest.raises(UserError, match=f"{there}' exists.*--force"):
        export_model(served, tmp_path / name, SHAPE)
    assert (tmp_path / there).read_text() == 'precious'
    export_model(served, tmp_path / name, SHAPE, force=True)
    assert (tmp_path / there).read_bytes() != b'precious'


def test_unknown_formats_are_refused(served, tmp_path):
    with pytest.raises(UserError, match='one of .onnx, .xml, .pt2, .pt'):
        export_model(served, tmp_path / 'a.tflite', SHAPE)


def test_a_runtime_that_is_not_installed_is_named(
        served, tmp_path, monkeypatch):
    monkeypatch.setattr(artefact, 'find_spec', lambda name: None)
    with pytest.raises(UserError, match='pip install openvino'):
        export_model(served, tmp_path / 'a.xml', SHAPE)
