"""Check a checkpoint's file before anything is read out of it."""
from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

from mmcls_repmlp.errors import CheckpointError, shortened, shown

_ZIP = b'PK\x03\x04'


def check_archive(path: Path) -> None:
    """Verify the checksums of an archive that ``torch.save`` made.

    torch itself reads a tensor with a flipped bit without complaint. And as
    it never compresses, an archive that claims to hold more bytes than its
    file has would only fill the memory.

    Args:
        path: The file; one of another format, such as a plain pickle of torch
            before 1.6, has no checksums and is passed over.

    Raises:
        CheckpointError: If a checksum is wrong, or more is claimed than is
            there.
        Exception: Whatever ``zipfile`` says of an archive it cannot read.
    """
    with open(path, 'rb') as file:
        if file.read(len(_ZIP)) != _ZIP:
            return
    with ZipFile(path) as archive:
        claimed = sum(entry.file_size for entry in archive.infolist())
        if claimed > path.stat().st_size:
            raise CheckpointError(
                f'checkpoint {shown(path)} was not loaded, because its '
                f'{path.stat().st_size:,} bytes claim to hold {claimed:,}: '
                'write it by torch.save, which does not compress')
        damaged = archive.testzip()
    if damaged is not None:
        raise CheckpointError(
            f'checkpoint {shown(path)} is damaged, the checksum of '
            f'{shortened(damaged, 60)!r} in it is wrong: fetch or write it '
            'again')
