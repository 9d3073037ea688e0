"""JPEG files that end before their image does."""
from __future__ import annotations

_JPEG, _SCAN, _END = b'\xff\xd8\xff', 0xda, b'\xff\xd9'


def is_cut_off(content: bytes) -> bool:
    """Tell whether a JPEG file ends before its image does.

    Markers cannot occur within an image (ITU-T T.81, B.1.1.2), but in the
    preview that a file may carry before it: such segments are stepped over.

    Args:
        content: A file; others than JPEG are never cut off.
    """
    if not content.startswith(_JPEG):
        return False
    place = len(_JPEG) - 1
    while content[place:place + 1] == b'\xff' and place + 4 <= len(content):
        marker, length = content[place + 1], content[place + 2:place + 4]
        if marker == _SCAN:
            return content.find(_END, place) < 0
        # A segment may be preceded by any number of bytes of 0xff.
        place += 1 if marker == 0xff else 2 + int.from_bytes(length, 'big')
    return place >= len(content)
