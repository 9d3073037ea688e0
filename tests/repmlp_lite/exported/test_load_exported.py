from contextlib import nullcontext
from unittest.mock import Mock

import numpy as np
import pytest

from repmlp_lite.errors import InputError, JobFailedError, UserError
from repmlp_lite.exported import load_exported as module
from repmlp_lite.exported.load_exported import (RUNTIMES, check_format,
                                                load_exported)
from repmlp_lite.exported.readers import ExportedModel


@pytest.mark.parametrize(('suffix', 'lost', 'to_write', 'said'), [
    ('.onnx', 'onnxruntime', False, 'onnxruntime: run pip install onnxrun'),
    ('.xml', 'openvino', True, r'openvino: .* "mmcls_repmlp\[export\]"'),
    ('.onnx', 'onnxscript', False, None),
])
def test_missing_packages_are_named(monkeypatch, suffix, lost, to_write, said):
    monkeypatch.setattr(module, 'find_spec', lambda name: name != lost or None)
    with pytest.raises(UserError, match=said) if said else nullcontext():
        check_format(f'm{suffix}', to_write)


@pytest.mark.parametrize(('name', 'message'), [
    ('no.onnx', 'does not exist or is not a file'),
    ('folder.pt2', 'does not exist or is not a file'),
    ('m.pt', 'no suffix of a format'),
])
def test_other_names_are_refused(tmp_path, name, message):
    (tmp_path / 'folder.pt2').mkdir()
    with pytest.raises(UserError, match=message):
        load_exported(tmp_path / name)


@pytest.mark.parametrize('suffix', RUNTIMES)
@pytest.mark.parametrize(
    'data', [b'', b'hello', b'PK', b'\x00' * 100, b'    ORTM' + bytes(100)])
def test_damage_is_a_sentence(tmp_path, capfd, suffix, data):
    (tmp_path / f'm{suffix}').write_bytes(data)
    with pytest.raises(JobFailedError, match=f'cannot be read as {suffix}'):
        load_exported(tmp_path / f'm{suffix}', trust=suffix == '.pt2')
    assert capfd.readouterr().err == ''


def run_of(compute=lambda images: images):
    return ExportedModel('m.onnx', compute, (3, 8, 8), 'float32')


@pytest.mark.parametrize(('shape', 'dtype'), [((2, 3, 16, 16), 'f4'),
                                              ((3, 8, 8), 'f4'),
                                              ((2, 3, 8, 8), 'u1')])
def test_images_it_was_not_made_for_are_refused(shape, dtype):
    message = r'takes float32 images of shape \(N, 3, 8, 8\), found'
    with pytest.raises(InputError, match=message):
        run_of()(np.zeros(shape, dtype))


def test_any_batch_and_memory_layout_is_taken():
    images = np.zeros((8, 8, 3, 5), np.float32).T[:, :, ::-1]
    out = run_of()(images)
    assert out.shape == (5, 3, 8, 8) and out.flags.c_contiguous


def test_a_failure_while_it_runs_is_a_sentence():
    compute = Mock(side_effect=RuntimeError(f'first\n  second {"x" * 1000}'))
    message = r"'m.onnx' cannot be computed: first second x+\.\.\.$"
    with pytest.raises(JobFailedError, match=message) as error:
        run_of(compute)(np.zeros((1, 3, 8, 8), np.float32))
    assert len(str(error.value)) < 350
