import re
import shutil

import pytest

from repmlp_lite.errors import JobFailedError, UserError
from repmlp_lite.exported.load_exported import load_exported

TYPE = '<!DOCTYPE net [<!ATTLIST layer version CDATA "opset1">]>'


@pytest.fixture
def change(exported, tmp_path):
    """Copy the file with its text edited, or its weights replaced."""

    def write(edit=lambda text: text, weights=None):
        text = (exported.folder / 'm.xml').read_text()
        (tmp_path / 'm.xml').write_text(edit(text))
        weights = weights or (exported.folder / 'm.bin').read_bytes()
        (tmp_path / 'm.bin').write_bytes(weights)
        return tmp_path / 'm.xml'

    return write


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [('<net', f'{TYPE}<net', 'document type'),
     ('version="opset1"', 'version="extension"', "of 'extension'"),
     ('<net', '<model><net', 'starts with <model>')])
def test_foreign_content_is_refused(change, old, new, message):
    with pytest.raises(UserError, match=message):
        load_exported(change(lambda text: text.replace(old, new, 1)))


def test_another_format_under_this_name_is_not_read(exported, tmp_path):
    shutil.copy(exported.folder / 'm.onnx', tmp_path / 'm.xml')
    with pytest.raises(JobFailedError, match='not well-formed'):
        load_exported(tmp_path / 'm.xml')


@pytest.mark.parametrize('place', [
    'offset="{far}" size="{size}"', 'offset="0" size="{far}"',
    'offset="-64" size="{size}"', 'offset="18446744073709551000" size="64"'
])
def test_claims_beyond_the_weights_are_refused(exported, change, place):
    exported.check(change(), exact=True)

    def edit(text):
        found = re.search(r'offset="\d+" size="(\d+)"', text)
        return text.replace(found[0], place.format(far=10**12, size=found[1]))

    for how in (dict(edit=edit), dict(weights=b'short')):
        with pytest.raises(JobFailedError, match='cannot be read as .xml'):
            load_exported(change(**how))
