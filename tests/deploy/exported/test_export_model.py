import copy
import shutil
import subprocess
import sys
from contextlib import suppress

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from mmcls_repmlp import fuse_for_inference
from mmcls_repmlp.deploy.exported import export_model as export
from mmcls_repmlp.deploy.exported.export_model import export_model
from mmcls_repmlp.deploy.exported.export_wrapper import ExportWrapper
from mmcls_repmlp.deploy.exported.load_exported import RUNTIMES, load_exported
from mmcls_repmlp.errors import JobFailedError, UserError
from mmcls_repmlp.files import move_into_place
from mmcls_repmlp.host import build_classifier
from tests.helpers import TINY_CFG, classifier_cfg, random_model

SMALL = (3, 8, 8)
CARD = dict(
    input_shape=SMALL,
    input='float32, normalised',
    mean=[0.],
    std=[1.],
    channels='RGB',
    output='logits',
    classes=[],
    pipeline='none')


def build(**cfg):
    backbone = dict(TINY_CFG, type='RepMLPNet', **cfg)
    model = random_model(lambda: build_classifier(classifier_cfg(backbone)))
    return ExportWrapper(fuse_for_inference(model).float())


def small(seed=0, scale=1.):
    """A model that is written in no time."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4))
    with torch.no_grad():
        model[0].weight.abs_().mul_(scale)
    return ExportWrapper(model.requires_grad_(False))


@pytest.fixture(scope='module')
def pairs(tmp_path_factory):
    """Two small models of two parts each, ``0.xml`` and ``1.xml``."""
    folder = tmp_path_factory.mktemp('pairs')
    for seed in (0, 1):
        export_model(small(seed), folder / f'{seed}.xml', SMALL)
    return folder


def files(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize('suffix', RUNTIMES)
@pytest.mark.parametrize('raw', [False, True])
def test_written_file_computes_the_same_on_any_batch(tmp_path, suffix, raw):
    wrapper, shape = (small(), SMALL) if raw else (build(), (3, 32, 32))
    if raw:
        wrapper = ExportWrapper(wrapper.model, [100.] * 3, [50.] * 3)
    path = tmp_path / f'model{suffix}'
    assert export_model(wrapper, path, shape) < 1e-4
    run = load_exported(path, exact=True)
    images = torch.randint(256, (7, *shape), dtype=torch.uint8)
    images = images if raw else images.float() / 128 - 1
    expected = wrapper(images).numpy()
    np.testing.assert_allclose(
        run(images.numpy()), expected, atol=1e-4 * np.abs(expected).max())
    assert files(tmp_path) == {path.name} | ({'model.bin'}
                                             if suffix == '.xml' else set())


@pytest.mark.parametrize('suffix', ['.onnx', '.pt'])
def test_padding_is_part_of_the_file(tmp_path, suffix):
    shape = (3, 40, 50)
    arch = dict(channels=(8, 32), depths=(1, 1), sharesets_nums=(1, 4))
    wrapper = build(arch=arch, out_indices=1, pad_to_multiple=True)
    path = tmp_path / f'model{suffix}'
    assert export_model(wrapper, path, shape) < 1e-4
    images = torch.rand(3, *shape)
    expected = wrapper(images).numpy()
    np.testing.assert_allclose(
        load_exported(path, exact=True)(images.numpy()),
        expected,
        atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize('suffix', ['.xml', '.pt'])  # of two parts and one
def test_a_file_that_differs_is_not_left(tmp_path, suffix, monkeypatch):
    write = export.WRITERS[suffix]
    monkeypatch.setitem(
        export.WRITERS, suffix,
        lambda model, path, shape: write(small(1), path, shape))
    with pytest.raises(JobFailedError, match='differs .* nothing was written'):
        export_model(small(), tmp_path / f'model{suffix}', SMALL)
    assert files(tmp_path) == set()


def test_undefined_outputs_are_no_agreement(tmp_path):
    model = small()
    with torch.no_grad():
        model.model[-1].weight[0, 0] = float('nan')
    with pytest.raises(JobFailedError, match='the model itself gives NaN'):
        export_model(model, tmp_path / 'model.pt', SMALL)
    assert files(tmp_path) == set()


@pytest.mark.parametrize(('name', 'there'), [('a.pt', 'a.pt'),
                                             ('a.xml', 'a.xml'),
                                             ('a.xml', 'a.bin'),
                                             ('a.onnx', 'a.onnx.data'),
                                             ('a.pt2', 'a.pt2.json')])
def test_files_are_replaced_only_by_force(tmp_path, name, there):
    (tmp_path / there).write_text('precious')
    with pytest.raises(UserError, match=f"{there}' exists.*force=True"):
        export_model(small(), tmp_path / name, SMALL)
    assert (tmp_path / there).read_text() == 'precious'
    assert files(tmp_path) == {there}


def test_force_replaces_what_is_there(tmp_path):
    parts = {'a.bin', 'a.xml', 'a.xml.json'}
    for part in parts:
        (tmp_path / part).write_text('precious')
    export_model(small(), tmp_path / 'a.xml', SMALL, force=True, card=CARD)
    assert files(tmp_path) == parts
    load_exported(tmp_path / 'a.xml')


@pytest.mark.parametrize('moved', range(4))
def test_a_kill_between_the_parts_is_noticed(tmp_path, monkeypatch, pairs,
                                             moved):
    path = tmp_path / 'a.xml'
    images = np.ones((1, *SMALL), np.float32)
    written = iter((0, 1))

    def write(model, path, shape):
        seed = next(written)
        for part in (path, path.with_suffix('.bin')):
            shutil.copy(pairs / f'{seed}{part.suffix}', part)

    monkeypatch.setitem(export.WRITERS, '.xml', write)
    export_model(small(0), path, SMALL, card=CARD)
    before = load_exported(path, exact=True)(images)
    left = iter(range(moved))

    def move(source, target):
        if next(left, None) is None:
            raise KeyboardInterrupt
        move_into_place(source, target)

    monkeypatch.setattr(export, 'move_into_place', move)
    with suppress(KeyboardInterrupt):
        export_model(small(1), path, SMALL, force=True, card=CARD)
    if moved in (1, 2):
        with pytest.raises(UserError, match='is not what the card'):
            load_exported(path)
    else:
        after = load_exported(path, exact=True)(images)
        assert (after == before).all() == (moved == 0)


def test_what_a_kill_leaves_goes_with_the_next_export(tmp_path):
    code = ('import os, signal\n'
            'from mmcls_repmlp.files import scratch_folder\n'
            f'with scratch_folder({str(tmp_path)!r}):\n'
            '    os.kill(os.getpid(), signal.SIGKILL)')
    subprocess.run([sys.executable, '-c', code], cwd=tmp_path)
    assert len(files(tmp_path)) == 1
    export_model(small(), tmp_path / 'a.pt', SMALL)
    assert files(tmp_path) == {'a.pt'}


def test_dimensions_have_names(tmp_path):
    export_model(small(), tmp_path / 'a.onnx', SMALL)
    graph = onnx.load(tmp_path / 'a.onnx').graph
    sizes = [[
        size.dim_param or size.dim_value
        for size in value.type.tensor_type.shape.dim
    ] for value in (*graph.input, *graph.output)]
    assert sizes == [['batch', *SMALL], ['batch', 4]]


def test_an_opset_that_torch_cannot_write_is_none(tmp_path):
    with pytest.raises(JobFailedError, match='in opset 13, only in 18'):
        export_model(small(), tmp_path / 'a.onnx', SMALL, opset=13)
    assert not files(tmp_path)


@pytest.mark.parametrize('suffix', ['.onnx', '.pt2', '.pt'])
def test_an_overflow_that_only_real_images_show_is_named(tmp_path, suffix):
    model = small(scale=30.)
    half = ExportWrapper(copy.deepcopy(model.model).half())
    export_model(half, tmp_path / f'a{suffix}', SMALL, reference=model)
    real = [
        np.ones((3, *SMALL), np.float32),
        np.full((2, *SMALL), 1e4, np.float32)
    ]
    with pytest.raises(
            JobFailedError,
            match='2 of 13 images give NaN or '
            'infinity in fp16 .* overflow, as fp16 ends at 65504, '
            'so export with option `precision=bf16` or fp32'):
        export_model(
            half, tmp_path / f'b{suffix}', SMALL, images=real, reference=model)
    assert files(tmp_path) == {f'a{suffix}'}
    out = load_exported(tmp_path / f'a{suffix}')(real[0])
    assert out.dtype == np.float32


def test_half_precision_is_held_against_the_float_model(tmp_path):
    with pytest.raises(JobFailedError, match='differs from the model'):
        export_model(
            ExportWrapper(small(0).model.half()),
            tmp_path / 'a.pt',
            SMALL,
            reference=small(1))


def test_what_cannot_be_written_is_a_sentence(tmp_path, monkeypatch):

    def write(*_):
        raise TypeError('first\nsecond')

    monkeypatch.setitem(export.WRITERS, '.pt', write)
    with pytest.raises(JobFailedError, match=r'as .pt: .* \(first second\)'):
        export_model(small(), tmp_path / 'a.pt', SMALL)


def test_bfloat16_is_written_where_there_is_any(tmp_path):
    half = ExportWrapper(small().model.bfloat16())
    export_model(half, tmp_path / 'a.pt2', SMALL)
    out = load_exported(tmp_path / 'a.pt2')(np.ones((2, *SMALL), np.float32))
    assert out.dtype == np.float32


def test_unknown_formats_are_refused(tmp_path):
    with pytest.raises(UserError, match='one of .onnx, .xml, .pt2, .pt'):
        export_model(small(), tmp_path / 'a.tflite', SMALL)
