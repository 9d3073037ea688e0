import os
import warnings

import numpy as np
import onnx
import pytest

from mmcls_repmlp.deploy.exported.load_exported import load_exported
from mmcls_repmlp.errors import JobFailedError, UserError


@pytest.fixture
def model(exported):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return onnx.load(exported.folder / 'm.onnx')


def write(model, folder, name='m.onnx'):
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path


def externalise(model, location, **entries):
    tensor = next(t for t in model.graph.initializer if len(t.dims) > 1)
    data = tensor.raw_data
    tensor.ClearField('raw_data')
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in dict(location=location, **entries).items():
        tensor.external_data.add(key=key, value=str(value))
    return data


def test_weights_beside_the_file_are_read(exported, model, tmp_path):
    data = externalise(model, 'm.onnx.data')
    path = write(model, tmp_path)
    (tmp_path / 'm.onnx.data').write_bytes(data)
    np.testing.assert_allclose(
        load_exported(path)(exported.images), exported.expected, atol=1e-5)


@pytest.mark.parametrize('location', [
    '../secret', '/dev/zero', 'OUTSIDE', 'neighbour', './m.onnx.data',
    '*/_ORT_MEM_ADDR_/*', ''
])
def test_no_other_file_is_read(model, tmp_path, location):
    outside = tmp_path / 'secret'
    folder = tmp_path / 'folder'
    folder.mkdir()
    data = externalise(model, location.replace('OUTSIDE', str(outside)))
    for path in (outside, folder / 'neighbour', folder / 'm.onnx.data'):
        path.write_bytes(data)
    with pytest.raises(UserError, match='it reads weights out of'):
        load_exported(write(model, folder))


@pytest.mark.parametrize(
    'entries',
    [{}, dict(offset=10**12),
     dict(length=10**15),
     dict(offset=-8)])
def test_a_link_to_elsewhere_and_claims_beyond_the_file_are_refused(
        model, tmp_path, entries):
    folder = tmp_path / 'folder'
    folder.mkdir()
    data = externalise(model, 'm.onnx.data', **entries)
    (tmp_path / 'secret').write_bytes(data)
    os.symlink(tmp_path / 'secret', folder / 'm.onnx.data')
    with pytest.raises(JobFailedError, match='cannot be read as .onnx'):
        load_exported(write(model, folder))


def test_operators_of_others_are_refused(model, tmp_path):
    model.opset_import.add(domain='evil', version=1)
    model.graph.node[0].domain = 'evil'
    with pytest.raises(UserError, match="operators of 'evil'"):
        load_exported(write(model, tmp_path))


def test_settings_in_the_file_are_not_obeyed(exported, model, tmp_path,
                                             monkeypatch):
    monkeypatch.chdir(tmp_path)
    model.metadata_props.add(
        key='ort_config',
        value='{"session_options": {"enable_profiling": 1, '
        '"optimized_model_filepath": "written.onnx"}}')
    load_exported(write(model, tmp_path))(exported.images)
    assert {p.name for p in tmp_path.iterdir()} == {'m.onnx'}


@pytest.mark.parametrize(
    'data', [b'', b'hello', b'\x00' * 100, b'    ORTM' + bytes(100)])
def test_damage_is_a_sentence(tmp_path, data, capfd):
    (tmp_path / 'm.onnx').write_bytes(data)
    with pytest.raises(JobFailedError, match='cannot be read as .onnx'):
        load_exported(tmp_path / 'm.onnx')
    assert capfd.readouterr().err == ''
