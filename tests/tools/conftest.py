"""Tools as command lines, with words in capitals for files."""
import re

import pytest

from tests.programs import call


@pytest.fixture
def filled(project, tmp_path):
    """Put paths in the place of words."""
    words = dict(
        CONFIG=project.config,
        TRAINED=project.trained,
        MERGED=project.merged,
        SEVEN=min(project.data.glob('val/7/*.png')),
        OUT=tmp_path)
    return lambda text: re.sub('|'.join(words), lambda word: str(words[word[0]]
                                                                 ), text)


@pytest.fixture
def tool(filled):
    """Call a tool by a command line."""
    return lambda name, line: call(name, *map(filled, line.split()))
