"""What the pages of docs/ name is there; their commands parse, code runs."""
import importlib.util
import re
import shlex

import pytest

from mmcls_repmlp.apis._shared.config import read_config
from tests.helpers import ROOT

PAGES = sorted((ROOT / 'docs').glob('*.md'))
FOLDERS = 'configs|demo|docs|mmcls_repmlp|tests|tools'


def commands(page):
    """The lines of a page's bash blocks, continued ones joined."""
    names = {}
    for block in re.findall('```bash\n(.*?)```', page.read_text(), re.DOTALL):
        for line in block.replace('\\\n', ' ').splitlines():
            for name, value in names.items():
                line = line.replace(f'${name}', value)
            if setting := re.fullmatch(r'(\w+)=(\S+)', line):
                names[setting[1]] = setting[2]
            elif line.split('#')[0].strip():
                yield shlex.split(line, comments=True)


def test_there_are_pages():
    assert {'finetuning.md', 'performance.md'} <= {p.name for p in PAGES}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_every_file_that_is_linked_or_named_exists(page):
    text = page.read_text()
    for link in re.findall(r'\]\(([^)#\s]+)', text):
        assert '://' in link or (page.parent / link).exists(), link
    for name in re.findall(rf'(?<![\w./-])(?:{FOLDERS})/[\w./-]*\w', text):
        assert (ROOT / name).exists(), name


def test_every_tool_is_on_the_page_of_tools():
    text = (ROOT / 'docs' / 'tools.md').read_text()
    tools = [
        path.relative_to(ROOT) for path in (ROOT / 'tools').rglob('*.py')
        if path.parent.name != 'benchmarking'
    ]
    assert len(tools) > 15
    assert not [tool for tool in tools if str(tool) not in text]


def python(page):
    """Python of a page, but for what says that it needs more than is here."""
    return [
        block for block in re.findall('```python\n(.*?)```', page.read_text(),
                                      re.DOTALL)
        if not block.startswith('# needs ')
    ]


def test_a_page_with_code_was_found():
    assert len(python(ROOT / 'docs' / 'dense_prediction.md')) == 3


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_python_runs_in_order(page):
    exec('\n'.join(python(page)), {})


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_every_command_is_understood(page, monkeypatch):
    for word, *argv in commands(page):
        if word != 'python' or argv[0].startswith('-'):
            continue
        monkeypatch.chdir(ROOT)
        assert_understood(*argv)


def assert_understood(tool, *argv):
    """Let the tool read its arguments, and stop where it would start."""
    import argparse

    class ParsedError(Exception):
        pass

    def parse(self, args=None, namespace=None):
        found = original(self, args, namespace)
        raise ParsedError(found)

    original = argparse.ArgumentParser.parse_args
    spec = importlib.util.spec_from_file_location('tool', ROOT / tool)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(
            ParsedError) as parsed:
        patch.setattr(argparse.ArgumentParser, 'parse_args', parse)
        module.main(list(argv))
    args = vars(parsed.value.args[0])
    if 'config' in args:
        read_config(args['config'], args.get('cfg_options'))
