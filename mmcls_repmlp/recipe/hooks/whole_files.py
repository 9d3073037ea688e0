"""Checkpoint files of a training run: writing, names and numbers."""
from __future__ import annotations

import os
import re
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from repmlp_lite.errors import JobFailedError
from repmlp_lite.files import atomic_write

# mmengine's names, by kind of loop.
TEMPLATES = ('epoch_{}.pth', 'iter_{}.pth')
BEST = 'best_'
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


def numbered_checkpoints(
        folder: str | Path,
        template: str | None = None) -> list[tuple[int, Path]]:
    """List the checkpoints of a folder that training can go on from, by name.

    Args:
        folder: The folder; it need not exist.
        template: Their names, with ``{}`` for the number. Defaults to those
            of mmengine.

    Returns:
        Number and path of each, the highest number first. Files under
        mmengine's names come after all those under ``template``.
    """
    found = []
    for name in dict.fromkeys((template, *TEMPLATES)):
        if name is None:
            continue
        start, end = name.split('{}')
        pattern = re.compile(f'{re.escape(start)}([0-9]+){re.escape(end)}')
        matches = [
            (int(match[1]), path) for path in Path(folder).glob('*')
            if (match := pattern.fullmatch(path.name)) and path.is_file()
        ]
        found += sorted(matches, reverse=True)
    return found


def checkpoint_folder(work_dir: str, out_dir: str | Path | None) -> Path:
    """Name the folder that a CheckpointHook with this ``out_dir`` writes to.

    mmengine appends the name of the work dir to another ``out_dir``.
    """
    if out_dir is None or str(out_dir) == work_dir:
        return Path(work_dir)
    return Path(out_dir, os.path.basename(work_dir.rstrip(os.sep)))
