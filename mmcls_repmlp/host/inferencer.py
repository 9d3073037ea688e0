"""What the host's inferencer lacks beside today's mmengine."""
from __future__ import annotations

from . import ImageClassificationInferencer


def patch_inferencer() -> None:
    """Give the host's inferencer what mmengine came to expect of it.

    mmengine 0.10 asks every inferencer whether to show its progress; an older
    host's does not call the constructor that answers.
    """
    if not hasattr(ImageClassificationInferencer, 'show_progress'):
        ImageClassificationInferencer.show_progress = False
