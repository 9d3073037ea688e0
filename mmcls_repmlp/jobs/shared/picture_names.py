"""Names of pictures of images, none twice."""
from __future__ import annotations

import os
from pathlib import Path, PurePath

_LONGEST = 200  # bytes of a name, of which file systems take 255


class PictureNames:
    """Names pictures after their images: the paths below a folder, in one.

    All images are in that folder, ``root``, if perhaps deep.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = root
        self.given: set[str] = set()

    def of(self, path: str | Path, place: int) -> str:
        """Name the picture of an image.

        Its number, ``place``, tells it from others of the same name.
        """
        name = '_'.join(PurePath(os.path.relpath(path, self.root)).parts)
        name = name.encode()[-_LONGEST:].decode(errors='ignore')
        if name in self.given:  # a/b_c and a_b/c, or one image twice
            name = f'{name}_{place:06}'
        self.given.add(name)
        return f'{name}.png'
