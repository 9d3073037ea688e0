"""The code and the files that the pages in docs/ name work and exist."""
import re

import pytest

from tests.helpers import ROOT

PAGES = sorted((ROOT / 'docs').glob('*.md'))


def blocks(page):
    """Python of a page, but for what says that it needs more than is here."""
    return [block for block in re.findall(
        '```python\n(.*?)```', page.read_text(), re.DOTALL)
        if not block.startswith('# needs ')]


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_python_runs_in_order(page):
    exec('\n'.join(blocks(page)), {})


def test_a_page_with_code_was_found():
    assert len(blocks(ROOT / 'docs' / 'dense_prediction.md')) == 3


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_files_that_are_named_exist(page):
    text = page.read_text()
    for name in re.findall(r'\]\(([\w./]+)\)', text):
        assert (page.parent / name).exists(), name
    for name in re.findall(r'`((?:configs|tools|tests|demo)/[\w./-]+)`', text):
        assert (ROOT / name).exists(), name
    for name in re.findall(r'^python (\S+)', text, re.MULTILINE):
        assert (ROOT / name).exists(), name
