import json

import pytest

from mmcls_repmlp.deploy.exported.card import (card_of, check_parts, digests,
                                               parts_of, read_card)
from mmcls_repmlp.deploy.exported.load_exported import load_exported
from mmcls_repmlp.errors import JobFailedError, UserError

GOOD = dict(
    input_shape=[3, 32, 32],
    input='uint8 RGB',
    mean=[1.],
    std=[2.],
    channels='RGB',
    output='logits',
    classes=['a', 'b'],
    pipeline='none',
    files={'.pt': 'a' * 64})


def write(folder, content, name='m.pt'):
    text = content if isinstance(content,
                                 (bytes, str)) else json.dumps(content)
    card_of(
        folder /
        name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / name


def test_a_good_card_is_read(tmp_path):
    assert read_card(write(tmp_path, {
        **GOOD, 'more': 1
    })) == {
        **GOOD, 'more': 1
    }


def test_a_missing_card_is_named(tmp_path):
    with pytest.raises(UserError, match="m.pt.json' does not exist"):
        read_card(tmp_path / 'm.pt')


@pytest.mark.parametrize('content', [
    b'', b'hello', b'\xff\xfe', b'[' * 10**5, b'[]', b'null', b'{}',
    b'9' * 10**4, '{"input_shape": [3, 1e999, NaN]}', *({
        **GOOD,
        **change
    } for change in (
        dict(input_shape=[3, 32]), dict(input_shape=[3, -32, 32]),
        dict(input_shape=[3, 10**30, 32]), dict(input_shape=[3., 32, 32]),
        dict(input_shape='332'), dict(input_shape=[True, 32, 32]),
        dict(input='float64'), dict(input=['uint8 RGB']), dict(mean=[]),
        dict(mean=[1, 2]), dict(mean=['1']), dict(mean=1.),
        dict(mean=[10**400]), dict(std=[0]), dict(std=[float('nan')]),
        dict(channels='GBR'), dict(output=None), dict(classes='ab'),
        dict(classes=[1, 2]), dict(classes={'0': 'a'}), dict(pipeline=None),
        dict(pipeline=['Resize']), dict(files={}), dict(files=[]),
        dict(files={'.pt': 'A' * 64}), dict(files={'.pt': 1}),
        dict(files={
            '.pt': 'a' * 64,
            '/../../etc/passwd': 'a' * 64
        }), dict(files={'.xml': 'a' * 64})))
])
def test_other_contents_are_a_sentence(tmp_path, content):
    with pytest.raises(JobFailedError, match='no card of') as error:
        read_card(write(tmp_path, content))
    assert len(str(error.value)) < 500


def test_a_card_larger_than_any_is_not_read(tmp_path):
    path = write(tmp_path, '')
    with open(card_of(path), 'r+b') as file:
        file.truncate(2**27)
    with pytest.raises(JobFailedError, match='larger than'):
        read_card(path)


def test_weights_go_first_and_the_named_file_last(tmp_path):
    assert [p.name for p in parts_of('a/m.xml')] == ['m.bin', 'm.xml']
    assert [p.name for p in parts_of('a/m.v2.onnx')
            ] == ['m.v2.onnx.data', 'm.v2.onnx']


@pytest.mark.parametrize('part', ['m.xml', 'm.bin'])
def test_parts_of_another_export_are_refused(tmp_path, part):
    for name in ('m.xml', 'm.bin'):
        (tmp_path / name).write_text(name)
    path = tmp_path / 'm.xml'
    write(tmp_path, {**GOOD, 'files': digests(path)}, 'm.xml')
    check_parts(path)
    (tmp_path / part).write_text('another')
    for use in (check_parts, load_exported):
        with pytest.raises(UserError, match=f"{part}' is not what the card"):
            use(path)
    (tmp_path / part).unlink()
    with pytest.raises(UserError, match=f"{part}' is not what|no file"):
        check_parts(path)


def test_weights_beyond_two_gigabytes_are_a_part(tmp_path):
    path = tmp_path / 'm.onnx'
    path.write_text('graph')
    assert {*digests(path)} == {'.onnx'}
    (tmp_path / 'm.onnx.data').write_text('weights')
    assert {*digests(path)} == {'.onnx', '.onnx.data'}
