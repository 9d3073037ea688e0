import errno
import hashlib
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock
from urllib.parse import quote

import pytest
import torch

from mmcls_repmlp.checkpoints import (local_file, read_checkpoint,
                                      write_checkpoint)
from mmcls_repmlp.checkpoints.download import cached_path, fetch
from repmlp_lite.errors import CheckpointError


def test_of_those_who_ask_together_one_fetches(web):
    address = web.put('/a.pth', bytes(10**6))
    with ThreadPoolExecutor() as threads:
        path, = {*threads.map(local_file, [address] * 4)}
    assert path.name == 'a.pth' and path.read_bytes() == bytes(10**6)
    assert web.asked == ['/a.pth']


def test_addresses_that_end_alike_are_kept_apart(web):
    for path in ('/one/a.pth', '/two/a.pth', '/one/a.pth?v=2'):
        web.put(path, path.encode())
    for path in list(web.files) * 2:
        assert fetch(web.address + path).read_bytes() == path.encode()
    assert len(web.asked) == 3


def test_a_download_that_breaks_off_is_not_kept(web, tmp_path):
    path = tmp_path / 'a.safetensors'
    write_checkpoint(dict(state_dict=dict(a=torch.ones(99))), path)
    address = web.put('/a.safetensors', path.read_bytes())
    web.cut_off.add('/a.safetensors')
    with pytest.raises(CheckpointError, match='damaged or incomplete'):
        read_checkpoint(address)
    web.cut_off.clear()
    assert read_checkpoint(address)['state_dict']['a'].equal(torch.ones(99))


def test_a_hash_in_the_name_is_held_against_the_file(web):
    name = f'/net-{hashlib.sha256(b"good").hexdigest()[:8]}.pth'
    address = web.put(name, b'evil')
    with pytest.raises(CheckpointError, match='invalid hash value'):
        fetch(address)
    assert not cached_path(address).exists()
    web.put(name, b'good')
    path = fetch(address)
    # Where other programs keep it too; what they left is not believed.
    assert path.parent.name == 'checkpoints'
    path.write_bytes(b'evil')
    assert fetch(address).read_bytes() == b'good'
    assert web.asked == [name] * 3


def test_a_full_disk_is_not_the_fault_of_the_address(web, monkeypatch):
    full = OSError(errno.ENOSPC, 'No space left on device')
    monkeypatch.setattr(torch.hub, 'download_url_to_file',
                        Mock(side_effect=full))
    with pytest.raises(OSError, match='No space left'):
        fetch(web.put('/a.pth', b'x'))


@pytest.mark.parametrize('address', [
    '{web}/missing.pth', 'http://127.0.0.1:1/a.pth', 'http://[/a.pth',
    'http://a/%00.pth'
])
def test_what_cannot_be_downloaded(web, address):
    with pytest.raises(
            CheckpointError, match='not be downloaded .*: check the a'):
        read_checkpoint(address.format(web=web.address))


@pytest.mark.parametrize('path', [
    '/', '/..%2f..%2fa.pth', '/..', '/ü%20b.pth?download=1',
    '/net-20240131.pth', '/net-19991231.pth'
])
def test_names_that_are_none_and_dates_that_are_no_hash(web, path):
    web.put(quote(path, safe='/%?=-'), b'x')
    found = fetch(web.address + path)
    assert found.read_bytes() == b'x'
    assert found.parents[1].samefile(f'{torch.hub.get_dir()}/checkpoints')
