import os
import warnings

import onnx
import pytest

from repmlp_lite.errors import JobFailedError, UserError
from repmlp_lite.exported.load_exported import load_exported


@pytest.fixture
def model(exported):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return onnx.load(exported.folder / 'm.onnx')


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'folder').mkdir()
    return tmp_path / 'folder'


def write(model, folder):
    (folder / 'm.onnx').write_bytes(model.SerializeToString())
    return folder / 'm.onnx'


def externalise(model, location, **entries):
    """Let a file say that its weights are elsewhere, and return these."""
    tensor = next(t for t in model.graph.initializer if len(t.dims) > 1)
    data = tensor.raw_data
    tensor.ClearField('raw_data')
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in dict(location=location, **entries).items():
        tensor.external_data.add(key=key, value=str(value))
    return data


def test_weights_beside_the_file_are_read(exported, model, folder):
    data = externalise(model, 'm.onnx.data')
    (folder / 'm.onnx.data').write_bytes(data)
    exported.check(write(model, folder))


@pytest.mark.parametrize('location', [
    '../secret', '/dev/zero', '{}/secret', 'neighbour', './m.onnx.data',
    '*/_ORT_MEM_ADDR_/*', ''
])
def test_no_other_file_is_read(model, folder, location):
    data = externalise(model, location.format(folder.parent))
    for name in ('../secret', 'neighbour', 'm.onnx.data'):
        (folder / name).write_bytes(data)
    with pytest.raises(UserError, match='it reads weights out of'):
        load_exported(write(model, folder))


@pytest.mark.parametrize(
    'entries',
    [{}, dict(offset=10**12), dict(length=10**15)])
def test_a_link_to_elsewhere_and_claims_beyond_the_file_are_refused(
        model, folder, entries):
    data = externalise(model, 'm.onnx.data', **entries)
    (folder / '../secret').write_bytes(data)
    os.symlink(folder / '../secret', folder / 'm.onnx.data')
    with pytest.raises(JobFailedError, match='cannot be read as .onnx'):
        load_exported(write(model, folder))


def test_operators_of_others_are_refused(model, folder):
    model.opset_import.add(domain='evil', version=1)
    model.graph.node[0].domain = 'evil'
    with pytest.raises(UserError, match="operators of 'evil'"):
        load_exported(write(model, folder))


def test_settings_in_the_file_are_not_obeyed(exported, model, folder,
                                             monkeypatch):
    monkeypatch.chdir(folder)
    model.metadata_props.add(
        key='ort_config',
        value='{"session_options": {"enable_profiling": 1, '
        '"optimized_model_filepath": "written.onnx"}}')
    exported.check(write(model, folder))
    assert os.listdir(folder) == ['m.onnx']
