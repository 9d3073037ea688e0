"""Tools as command lines, with words in capitals for files."""
import re

import pytest

from tests.programs import call


@pytest.fixture
def tool(project, tmp_path):
    """Call a tool by a command line."""
    words = dict(
        CONFIG=project.config,
        TRAINED=project.trained,
        MERGED=project.merged,
        SEVEN=min(project.data.glob('val/7/*.png')),
        OUT=tmp_path)

    def fill(text):
        return re.sub('|'.join(words), lambda word: str(words[word[0]]), text)

    return lambda name, line: call(name, *map(fill, line.split()))
