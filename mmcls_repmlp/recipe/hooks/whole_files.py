"""Checkpoint files of a training run: writing, names and numbers."""
from __future__ import annotations

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from repmlp_lite.errors import JobFailedError
from repmlp_lite.files import atomic_write

# How a config names the backend below; the hook does it for local folders.
WHOLE_FILES = 'mmcls_repmlp.whole_files'


@register_backend(WHOLE_FILES)
class WholeFilesBackend(LocalBackend):
    """A local folder in which a file is the old one or the new one."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to a file, replacing it once they are on the disk.

        Raises:
            JobFailedError: If they cannot be written; names the file.
        """
        try:
            with atomic_write(filepath, force=True) as temporary:
                temporary.write_bytes(obj)
        except OSError as error:
            raise JobFailedError(f'{str(filepath)!r} cannot be written '
                                 f'({error.strerror or error})') from error

    def put_text(self,
                 obj: str,
                 filepath: str | Path,
                 encoding: str = 'utf-8') -> None:
        """Write text to a file in the same way."""
        self.put(obj.encode(encoding), filepath)
