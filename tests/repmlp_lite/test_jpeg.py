import io

import numpy as np
from PIL import Image

from repmlp_lite.jpeg import is_cut_off

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


def encoded(kind, **options):
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, kind, **options)
    return file.getvalue()


def test_jpeg_files_without_an_end():
    # Its preview in the header has an end of its own.
    exif = Image.Exif()
    exif[0x927c] = b'\xff\xd8\xff\xda..\xff\xd9'
    whole = encoded('JPEG', exif=exif)
    assert whole.find(b'\xff\xd9') < len(whole) // 2
    for content in (whole, encoded('JPEG', progressive=True)):
        assert not is_cut_off(content)
        assert not is_cut_off(content + b'\xff\xda and a film after it')
        assert not is_cut_off(content[:2] + b'\xff' + content[2:])
        assert all(
            is_cut_off(content[:size])
            for size in (len(content) // 2, len(content) - 1))
    assert not is_cut_off(encoded('PNG')[:50])  # told by its decoder
