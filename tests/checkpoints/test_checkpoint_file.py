import json
import pickle
import zipfile
from unittest.mock import Mock

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from mmcls_repmlp.checkpoints import (class_names, read_checkpoint,
                                      state_dict_of, write_checkpoint)
from repmlp_lite.errors import CheckpointError


def test_a_config_is_no_checkpoint(tmp_path):
    (tmp_path / 'a.py').write_text('_base_ = []')
    with pytest.raises(CheckpointError, match=r"a\.py' is a config, not a ch"):
        read_checkpoint(tmp_path / 'a.py')


@pytest.mark.parametrize(
    ('error', 'message'),
    [(MemoryError, 'does not fit into memory'),
     *((error, 'cannot be read, it is damaged or incomplete, or not')
       for error in (IndexError, TypeError('a\nb'), RecursionError, OSError)),
     (pickle.UnpicklingError('a\nUnsupported 7'), r'\(Unsupported 7\)')])
def test_any_error_of_torch_is_one_sentence(tmp_path, monkeypatch, error,
                                            message):
    torch.save({}, tmp_path / 'a.pth')
    monkeypatch.setattr(torch, 'load', Mock(side_effect=error))
    with pytest.raises(CheckpointError, match=message) as caught:
        read_checkpoint(tmp_path / 'a.pth')
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(('name', 'content', 'kind'), [
    ('a.pdparams', b'x', 'PaddlePaddle'),
    ('a.pth', pickle.dumps({'StructuredToParameterName@@': {}
                            }), 'PaddlePaddle'),
    ('a.h5', b'x', 'Keras'),
    ('a.pth', b'\x89HDF\r\n', 'Keras'),
    ('saved_model.pb', b'x', 'TensorFlow'),
    ('model.ckpt.index', b'x', 'TensorFlow'),
    ('model.ckpt.data-00000-of-00001', b'x', 'TensorFlow'),
    ('a.tflite', b'x', 'TensorFlow Lite'),
    ('a.pth', b'<!DOCTYPE html><html>', 'web page'),
    ('a.pth', b'version https://git-lfs.github.com/spec/v1', 'Git LFS'),
    ('a.npz', b'x', 'numpy'),
    ('a.pth', b'PK\3\4model.weights.h5', 'Keras'),
    ('a.pth', b'\x1f\x8b\x08\0', 'compressed'),
    ('a.pth', b'a.bin' + b'\0' * 252 + b'ustar', 'compressed'),
    ('a.onnx', b'x', 'ONNX'),
])
def test_files_of_other_programs_are_named(tmp_path, name, content, kind):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f'is a file .*{kind}.*, not a '):
        read_checkpoint(tmp_path / name)


def test_a_script_and_a_folder_of_other_programs(tmp_path):
    torch.jit.script(torch.nn.Linear(1, 1)).save(tmp_path / 'a.pt')
    with pytest.raises(CheckpointError, match='is a file of TorchScript'):
        read_checkpoint(tmp_path / 'a.pt')
    (tmp_path / 'saved_model.pb').touch()
    with pytest.raises(CheckpointError, match='is a model of TensorFlow'):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    'path',
    ['~no-such-user/a.pth', '/dev/zero', 's3://a/b.pth', 'http:/a.pth', '.'])
def test_paths_that_are_no_files(path):
    with pytest.raises(CheckpointError, match='does not exist|holds no epoch'):
        read_checkpoint(path)


def test_a_file_is_written_by_torch_and_nothing_else_is_left(tmp_path):
    path = tmp_path / 'new' / 'folder' / 'a.pth'
    weights = {'a.weight': torch.ones(2), 'a.bias': torch.zeros(1)}
    write_checkpoint(weights, path)
    assert torch.load(path).keys() == weights.keys()
    assert [*path.parent.iterdir()] == [path]
    (tmp_path / 'other').touch()
    assert path.stat().st_mode == (tmp_path / 'other').stat().st_mode


def test_a_flipped_bit_in_any_weight_is_found(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(dict(a=torch.rand(9), b=torch.rand(9).half()), path)
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        tensors = {
            entry: archive.read(entry)
            for entry in archive.infolist() if '/data/' in entry.filename
        }
    assert len(tensors) == 2
    for entry, content in tensors.items():
        damaged = bytearray(data)
        damaged[data.index(content, entry.header_offset)] ^= 1
        path.write_bytes(damaged)
        torch.load(path, weights_only=True)  # does not notice
        words = f'the checksum of .*{entry.filename}.* is wrong'
        with pytest.raises(CheckpointError, match=words):
            read_checkpoint(path)


def test_a_file_that_is_larger_in_memory_is_refused(tmp_path):
    torch.save({}, tmp_path / 'a.pth')
    with zipfile.ZipFile(tmp_path / 'a.pth', 'a',
                         zipfile.ZIP_DEFLATED) as file:
        file.writestr('archive/data/9', bytes(10**7))
    with pytest.raises(CheckpointError, match=r'claim to hold 10,00\d,\d{3}:'):
        read_checkpoint(tmp_path / 'a.pth')


# ---------------------------------------------------------- safetensors files

HALF = torch.arange(6.).view(2, 3).half()
WEIGHTS = {
    'a.weight': HALF.t(),  # not contiguous, and its memory is shared
    'a.bias': HALF[0],
    'counter': torch.tensor(3),
    'none': torch.ones(0, 2),
    'ü\n"\\\x7f': torch.ones(1).bool(),
    **{
        str(kind): torch.ones(3).to(kind)
        for kind in (torch.float64, torch.bfloat16, torch.float8_e4m3fn)
    }
}
META = dict(classes=['ä', 'b'], dataset_meta=dict(x=[1, None]), version='1.0')


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'a.safetensors'


@pytest.fixture
def forge(path):
    """Write a file with this header and four bytes of numbers."""

    def write(text, length=None):
        if not isinstance(text, bytes):
            text = json.dumps(text).encode()
        length = len(text) if length is None else length
        path.write_bytes(length.to_bytes(8, 'little') + text + bytes(4))

    return write


def entry(shape=(1, ), dtype='F32', offsets=(0, 4), name='a'):
    return {name: dict(dtype=dtype, shape=shape, data_offsets=offsets)}


def test_what_is_written_is_read_back(path):
    write_checkpoint(dict(state_dict=WEIGHTS, meta=META), path)
    content = read_checkpoint(path)
    assert content['meta'] == META
    found = state_dict_of(content, path)
    assert found.keys() == WEIGHTS.keys()
    for name, value in WEIGHTS.items():
        assert found[name].dtype == value.dtype
        assert found[name].float().equal(value.float())
    first = path.read_bytes()
    write_checkpoint(dict(state_dict=WEIGHTS, meta=META), path, force=True)
    assert path.read_bytes() == first


def test_others_read_the_texts_and_ours_reads_those_of_others(path):
    write_checkpoint(dict(state_dict=WEIGHTS, meta=META), path)
    with safe_open(path, 'pt') as file:
        assert json.loads(file.metadata()['classes']) == ['ä', 'b']
    save_file(dict(a=HALF), path, dict(format='pt', classes='["x"]'))
    content = read_checkpoint(path)
    assert content['meta'] == dict(format='pt', classes=['x'])
    assert class_names(content) == ('x', )


def test_weights_are_checked_as_elsewhere(path, forge):
    forge(entry((8, ), 'F4') | entry((0, ), offsets=(4, 4), name='b'))
    with pytest.raises(
            CheckpointError, match="its entry 'state_dict.a' is no plain"):
        state_dict_of(read_checkpoint(path), path)


@pytest.mark.parametrize('header', [
    *((entry(), length) for length in (2**63, 3)),
    *((text, ) for text in (b'', b'{"\xff": 1}', b'{"a":' * 10**5, b'[1, 2]')),
    *((dict(entry(), __metadata__=dict(a=text)), )
      for text in (3, '[' * 10**5)),
    *((entry(*odd), )
      for odd in (((100, ), 'F32', (0, 400)), ((1, ), 'F32', (4, 0)),
                  ((2**62, 8), ), ((-1, ), ), ((1, ), 'Q9'))),
    (entry() | entry(name='b'), ),
])
def test_forged_headers_are_refused_in_a_sentence(path, forge, header):
    forge(*header)
    with pytest.raises(CheckpointError, match='cannot be read') as error:
        read_checkpoint(path)
    assert len(str(error.value)) < 300 and '\n' not in str(error.value)


def test_the_forged_header_would_be_read_if_it_were_right(path, forge):
    forge(entry())
    assert read_checkpoint(path)['state_dict']['a'].equal(torch.zeros(1))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match='damaged or incomplete'):
        read_checkpoint(path)
