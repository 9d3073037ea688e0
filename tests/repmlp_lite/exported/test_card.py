import json

import pytest

from repmlp_lite.errors import JobFailedError, UserError
from repmlp_lite.exported.card import (card_of, check_parts, digests, parts_of,
                                       read_card)
from repmlp_lite.exported.load_exported import load_exported

DIGEST = 'a' * 64
BAD = dict(
    input_shape=['332', [3, 32], [3, -32, 32], [3, 10**30, 32], [True, 3, 3]],
    input=['float64', ['uint8 RGB']],
    mean=[1., [], [1, 2], ['1'], [10**400]],
    std=[[0], [float('nan')]],
    channels=['GBR'],
    output=[None],
    classes=['ab', [1, 2]],
    pipeline=[None, ['Resize']],
    files=[{}, [],
           dict.fromkeys(['.pt2'], 'A' * 64),
           dict.fromkeys(['.pt2'], 1),
           dict.fromkeys(['.pt2', '/../../etc/passwd'], DIGEST)])
BAD_ENTRIES = [(name, value) for name in BAD for value in BAD[name]]
NO_CARDS = [b'', b'\xff\xfe', b'[' * 10**5, b'null', b'{}', b'9' * 10**4]


@pytest.fixture
def good(card):
    return dict(card, files={'.pt2': DIGEST})


@pytest.fixture
def write(tmp_path):
    """Write a card, of these bytes or entries, and name what it is for."""

    def write(content=b'', name='m.pt2'):
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        card_of(tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


def test_a_good_card_is_read(write, good):
    good['more'] = 1
    path = write(good)
    assert read_card(path) == good
    card_of(path).unlink()
    with pytest.raises(UserError, match="m.pt2.json' does not exist"):
        read_card(path)


def test_a_card_of_before_says_one_thing_about_channels(write, good):
    # They were those of the model, and the file took RGB.
    old = dict(good, input='uint8 RGB', channels='BGR')
    assert read_card(write(old)) == dict(old, input='uint8', channels='RGB')


@pytest.mark.parametrize('content',
                         [*NO_CARDS, *(dict([bad]) for bad in BAD_ENTRIES)])
def test_other_contents_are_a_sentence(write, good, content):
    if isinstance(content, dict):
        content = good | content
    with pytest.raises(JobFailedError, match='is not the card of') as error:
        read_card(write(content))
    assert len(str(error.value)) < 500


def test_weights_go_first_and_the_named_file_last():
    names = [part.name for part in parts_of('a/m.v2.onnx')]
    assert names == ['m.v2.onnx.data', 'm.v2.onnx']


@pytest.mark.parametrize('part', ['m.xml', 'm.bin'])
def test_parts_of_another_export_are_refused(tmp_path, write, card, part):
    path = tmp_path / 'm.xml'
    for name in ('m.xml', 'm.bin'):
        (tmp_path / name).write_text(name)
    check_parts(write(dict(card, files=digests(path)), 'm.xml'))
    (tmp_path / part).write_text('another')
    for use in (check_parts, load_exported):
        with pytest.raises(UserError, match=f"{part}' is not what the card"):
            use(path)
    (tmp_path / part).unlink()
    with pytest.raises(UserError, match=f"{part}' is not what"):
        check_parts(path)


def test_weights_beyond_two_gigabytes_are_a_part(tmp_path):
    path = tmp_path / 'm.onnx'
    path.write_text('graph')
    assert {*digests(path)} == {'.onnx'}
    (tmp_path / 'm.onnx.data').write_text('weights')
    assert {*digests(path)} == {'.onnx', '.onnx.data'}
