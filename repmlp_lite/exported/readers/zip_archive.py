"""The zip archives that torch writes, read with what they claim checked."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from repmlp_lite.errors import UserError

# What compressed members may unpack to together, beyond the file's own size;
# torch compresses the text of TorchScript and nothing else.
COMPRESSED_BYTES = 2**26
_ENCRYPTED = 1


class Archive:
    """Members of a zip archive by their names below its only folder.

    Every member's checksum is verified when it is read.

    Args:
        path: The archive.

    Raises:
        UserError: If members share a name or a folder is ambiguous, or they
            claim more memory than a file of this size can need.
        BadZipFile: If it is no zip archive.
    """

    def __init__(self, path: Path) -> None:
        self._zip = ZipFile(path)
        infos = self._zip.infolist()
        names = [info.filename.partition('/') for info in infos]
        self._infos = {rest: info for (_, _, rest), info in zip(names, infos)}
        folders = {folder for folder, _, _ in names}
        if len(folders) != 1 or '' in self._infos or (len(self._infos)
                                                      < len(infos)):
            raise UserError(f'{str(path)!r} is no archive as torch writes it: '
                            'its members share names or have no folder')
        if any(info.flag_bits & _ENCRYPTED or info.compress_type not in (
                ZIP_STORED, ZIP_DEFLATED) for info in infos):
            raise UserError(f'{str(path)!r} is no archive as torch writes it: '
                            'its members are encrypted or packed otherwise')
        claimed = sum(info.file_size for info in infos)
        allowed = path.stat().st_size + COMPRESSED_BYTES
        if claimed > allowed:
            raise UserError(f'{str(path)!r} claims to unpack to {claimed:,} '
                            f'bytes, allowed are {allowed:,}')

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *error: object) -> None:
        self._zip.close()

    def __iter__(self) -> Iterator[str]:
        return iter(self._infos)

    def __contains__(self, name: str) -> bool:
        return name in self._infos

    def size(self, name: str) -> int:
        """Tell the size of a member in bytes.

        Raises:
            KeyError: If there is none of that name.
        """
        return self._infos[name].file_size

    def read(self, name: str) -> bytes:
        """Read a member whole.

        Raises:
            KeyError: If there is none of that name.
            BadZipFile: If its checksum is wrong.
        """
        return self._zip.read(self._infos[name])
