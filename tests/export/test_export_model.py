from contextlib import suppress
from functools import partial
from itertools import product
from unittest.mock import DEFAULT, Mock

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from mmcls_repmlp import fuse_for_inference
from mmcls_repmlp.export import export_model as export
from mmcls_repmlp.export.export_model import export_model, put_in_place
from mmcls_repmlp.export.export_wrapper import ExportWrapper
from mmcls_repmlp.host import build_classifier
from repmlp_lite.errors import JobFailedError, UserError
from repmlp_lite.exported.card import check_parts
from repmlp_lite.exported.load_exported import RUNTIMES, load_exported
from repmlp_lite.files import move_into_place
from tests.helpers import TINY_CFG, classifier_cfg, random_model

SMALL = (3, 8, 8)


def load(path):
    return load_exported(path, exact=True, trust=path.suffix == '.pt2')


def small(seed=0, scale=1.):
    """A model that is written in no time."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4))
    with torch.no_grad():
        model[0].weight.abs_().mul_(scale)
    return ExportWrapper(model.requires_grad_(False))


def fused(**backbone):
    cfg = classifier_cfg(dict(backbone, type='RepMLPNet'))
    model = random_model(lambda: build_classifier(cfg))
    return ExportWrapper(fuse_for_inference(model).float())


def raw():
    return ExportWrapper(small().model, [100.] * 3, [50.] * 3), SMALL


def net():
    return fused(**TINY_CFG), (3, 32, 32)


def padded():
    arch = dict(channels=(8, 32), depths=(1, 1), sharesets_nums=(1, 4))
    backbone = dict(TINY_CFG, arch=arch, out_indices=1, pad_to_multiple=True)
    return fused(**backbone), (3, 40, 50)


@pytest.mark.parametrize(('suffix', 'build'),
                         [*product(RUNTIMES, (raw, net)), ('.onnx', padded)])
def test_written_file_computes_the_same_on_any_batch(tmp_path, suffix, build):
    wrapper, shape = build()
    path = tmp_path / f'model{suffix}'
    assert export_model(wrapper, path, shape) < 1e-4
    images = torch.randint(256, (7, *shape), dtype=torch.uint8)
    images = images if wrapper.raw else images.float() / 128 - 1
    expected = wrapper(images).numpy()
    np.testing.assert_allclose(
        load(path)(images.numpy()),
        expected,
        atol=1e-4 * np.abs(expected).max())
    assert {*tmp_path.iterdir()} - {path.with_suffix('.bin')} == {path}


def half(dtype=torch.float16, **model):
    return ExportWrapper(small(**model).model.to(dtype))


@pytest.mark.parametrize(('name', 'model', 'options', 'message'), [
    ('a.pt2', half, dict(reference=small(1)), 'differs .*nothing was written'),
    ('a.pt2', partial(small, scale=torch.nan), {}, 'model itself gives NaN'),
    ('a.onnx', small, dict(opset=13), 'in opset 13, only in 18'),
])
def test_what_is_wrong_is_not_left(tmp_path, name, model, options, message):
    with pytest.raises(JobFailedError, match=message):
        export_model(model(), tmp_path / name, SMALL, **options)
    assert not [*tmp_path.iterdir()]


def test_files_are_replaced_only_by_force(tmp_path, card):
    parts = [tmp_path / name for name in ('a.bin', 'a.xml', 'a.xml.json')]
    for part in parts:
        part.write_text('precious')
        with pytest.raises(UserError, match='exists.*force=True'):
            export_model(small(), tmp_path / 'a.xml', SMALL)
        assert part.read_text() == 'precious'
        part.unlink()
    parts[0].write_text('precious')
    export_model(small(), tmp_path / 'a.xml', SMALL, force=True, card=card)
    assert sorted(tmp_path.iterdir()) == parts
    load_exported(tmp_path / 'a.xml')


@pytest.mark.parametrize('moved', range(4))
def test_a_kill_between_the_parts_is_noticed(tmp_path, monkeypatch, card,
                                             moved):
    old, new = tmp_path / 'old' / 'a.xml', tmp_path / 'new' / 'a.xml'
    for path in (old, new):
        path.parent.mkdir()
        path.write_text(f'{path}')
        path.with_suffix('.bin').write_text(f'weights of {path}')
    path = tmp_path / 'a.xml'
    put_in_place(old, path, card)
    effects = [*[DEFAULT] * moved, KeyboardInterrupt]
    move = Mock(wraps=move_into_place, side_effect=effects)
    monkeypatch.setattr(export, 'move_into_place', move)
    with suppress(KeyboardInterrupt):
        put_in_place(new, path, card, force=True)
    if moved in (1, 2):
        with pytest.raises(UserError, match='is not what the card'):
            check_parts(path)
    else:
        check_parts(path)
        assert path.read_text() == f'{new if moved else old}'


def test_an_opset_can_be_chosen_and_dimensions_have_names(tmp_path):
    path = tmp_path / 'a.onnx'
    export_model(small(), path, SMALL, opset=20)
    model = onnx.load(path)
    assert [used.version for used in model.opset_import] == [20]
    sizes = [[
        size.dim_param or size.dim_value
        for size in value.type.tensor_type.shape.dim
    ] for value in (*model.graph.input, *model.graph.output)]
    assert sizes == [['batch', *SMALL], ['batch', 4]]


@pytest.mark.parametrize('suffix', ['.onnx', '.pt2'])
def test_an_overflow_that_only_real_images_show_is_named(tmp_path, suffix):
    path, real = tmp_path / f'a{suffix}', np.ones((5, *SMALL), np.float32)
    real[3:] = 1e4
    message = ('2 of 13 images give NaN or infinity in fp16 .* overflow, as '
               'fp16 ends at 65504, so export with option `precision=bf16`')
    export = partial(
        export_model, half(scale=30.), path, SMALL, reference=small(scale=30.))
    with pytest.raises(JobFailedError, match=message):
        export(images=[real])
    assert not path.exists()
    export()
    assert load(path)(real).dtype == np.float32
    if suffix == '.pt2':  # the only format that has bf16
        export_model(half(torch.bfloat16), path, SMALL, force=True)
        assert load(path)(real).dtype == np.float32


def test_what_cannot_be_written_is_a_sentence(tmp_path, monkeypatch):
    write = Mock(side_effect=TypeError('first\nsecond'))
    monkeypatch.setitem(export.WRITERS, '.pt2', write)
    with pytest.raises(JobFailedError, match=r'as .pt2 .*: first second$'):
        export_model(small(), tmp_path / 'a.pt2', SMALL)
