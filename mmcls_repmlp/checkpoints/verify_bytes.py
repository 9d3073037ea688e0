"""Verification of a file's bytes before anything is made of them."""
from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

from repmlp_lite.errors import CheckpointError, quote_path, shorten

_ZIP = b'PK\x03\x04'


def verify_checksums(path: Path) -> None:
    """Verify the checksums of an archive that ``torch.save`` made.

    torch itself reads a tensor with a flipped bit without complaint. And as
    it never compresses, an archive that claims to hold more bytes than its
    file has would only fill the memory. Files of other formats, such as a
    plain pickle of torch before 1.6, have no checksums.

    Raises:
        CheckpointError: If the archive is damaged, or claims too much.
        BadZipFile: If it is incomplete.
    """
    with open(path, 'rb') as file:
        if file.read(len(_ZIP)) != _ZIP:
            return
    with ZipFile(path) as archive:
        claimed = sum(entry.file_size for entry in archive.infolist())
        if claimed > path.stat().st_size:
            raise CheckpointError(
                f'checkpoint {quote_path(path)} was not loaded, because its '
                f'{path.stat().st_size:,} bytes claim to hold {claimed:,}: '
                'write it by torch.save, which does not compress')
        damaged = archive.testzip()
    if damaged is not None:
        raise CheckpointError(
            f'checkpoint {quote_path(path)} is damaged, the checksum of '
            f'{shorten(damaged, 60)!r} in it is wrong: fetch or write it '
            'again')
