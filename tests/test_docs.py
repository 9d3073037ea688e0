"""Files, links, commands, options and names on the pages exist."""
import argparse
import functools
import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from mmcls_repmlp.host import NAME
from mmcls_repmlp.host.model_index import indexed_models
from mmcls_repmlp.jobs.shared.config import read_config
from repmlp_lite.command_line import new_parser
from repmlp_lite.command_line.commands import COMMANDS
from tests.helpers import ROOT
from tests.programs import command_of, loaded

DOCS = ROOT / 'docs'
PAGES = sorted({
    *ROOT.glob('*.md'), *DOCS.glob('*.md'), ROOT / 'demo' / 'README.md',
    ROOT / 'tests' / 'data' / 'README.md'
} - {DOCS / 'api.md'})  # which is generated
every_page = pytest.mark.parametrize(
    'page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))

CODE = ('mmcls_repmlp', 'repmlp_lite', 'tools', 'demo', 'benchmarks',
        'configs', 'tests')
FOLDERS = '|'.join((*CODE, 'docs', 'requirements'))
BENCHMARK = 'python benchmarks/benchmark.py'
# Folders whose files pages name by the last part of their paths.
PLACES = [ROOT, DOCS, *(ROOT / name for name in (*CODE, 'configs/repmlp'))]
SUFFIXES = 'py|sh|yml|yaml|toml|pt'
# Files of others, such as the hosts' tools, and files that a reader writes.
FOREIGN_FILES = {
    'config.py', 'cutout.py', 'data/build.py', 'deploy.py', 'lr_scheduler.py',
    'main_repmlp.py', 'mini-0123abcd.py', 'optimizer.py', 'pets.py',
    'randaug.py', 'repmlp_t224_ascend.yaml', 'analyze_logs.py',
    'analyze_results.py', 'eval_metric.py', 'kfold-cross-valid.py',
    'mmcls2torchserve.py', 'mmpretrain2torchserve.py', 'print_config.py',
    'shape_bias.py', 'verify_dataset.py', 'vis_cam.py', 'vis_scheduler.py',
    'vis_tsne.py'
}
# Names of environment variables, which no Python here has.
FOREIGN_NAMES = {'PIP_EXTRA_INDEX_URL', 'PIP_FIND_LINKS', 'WANDB_MODE'}
OTHERS = sorted(
    str(path.relative_to(ROOT)) for folder in ('demo', 'benchmarks')
    for path in (ROOT / folder).rglob('*.py')
    if 'def main' in path.read_text())


def blocks(page, language):
    """Contents of a page's fenced blocks of a language."""
    return re.findall(rf'```{language}\n(.*?)```', page.read_text(), re.DOTALL)


def prose(page):
    """A page without its fenced blocks."""
    return re.sub('(?ms)^ *```.*?^ *```', '', page.read_text())


def code(page):
    """What stands in backticks in a page's prose, line breaks joined."""
    spans = re.findall('`([^`]+)`', prose(page))
    return [' '.join(span.split()) for span in spans]


def typed(page):
    """The lines of a page's bash blocks, variables replaced."""
    names = {}
    lines = '\n'.join(blocks(page, 'bash')).replace('\\\n', ' ').splitlines()
    for line in lines:
        for name, value in names.items():
            line = line.replace(f'${name} ', f'{value} ')
        if setting := re.fullmatch(r'(\w+)=(\S+)', line):
            names[setting[1]] = setting[2]
        elif line.split('#')[0].strip():
            yield shlex.split(line, comments=True)


def commands(page):
    """Commands and programs with their arguments, in blocks and in prose."""
    inline = [re.sub('^B ', f'{BENCHMARK} ', span) for span in code(page)]
    whole = re.compile(r'(python|repmlp \w+) [^-]')
    for word, *argv in (*typed(page),
                        *(span.split() for span in inline
                          if whole.match(span) and span != BENCHMARK)):
        if word == 'repmlp':
            yield argv
        elif word == 'python' and not argv[0].startswith('-'):
            yield [command_of(argv[0]) or argv[0], *argv[1:]]


@functools.cache
def parser_of(tool):
    """The parser of a command; a program is stopped where it would parse."""
    if tool in COMMANDS:
        parser = new_parser(None, prog=tool)
        COMMANDS[tool](parser)
        return parser

    def parse(self, args=None, namespace=None):
        raise RuntimeError(self)

    module = loaded(ROOT / tool)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(
            RuntimeError) as made:
        for name in ('parse_args', 'parse_intermixed_args'):
            patch.setattr(argparse.ArgumentParser, name, parse)
        module.main([])
    return made.value.args[0]


@functools.cache
def options(tool):
    return {*re.findall(r'--[a-z][\w-]*', parser_of(tool).format_help())}


def anchors(page):
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall('^#+ (.*)$', prose(page).lower(), re.MULTILINE)
    return [
        re.sub(r'[^\w\- ]', '', each).replace(' ', '-') for each in headings
    ]


@functools.cache
def known_words():
    """Every word in Python files here and in the host's packages."""
    specs = map(importlib.util.find_spec,
                ('mmcls', 'mmpretrain', 'mmengine', 'mmcv'))
    folders = [Path(spec.origin).parent for spec in specs if spec]
    return FOREIGN_NAMES.union(
        *(re.findall(r'\w+', path.read_text(errors='ignore'))
          for folder in (*folders, *(ROOT / name for name in CODE))
          for path in folder.rglob('*.py')))


def python(page):
    """Python blocks of a page that need nothing else."""
    return [
        block for block in blocks(page, 'python')
        if not block.startswith('# needs ')
    ]


def test_pages_are_found():
    assert len(PAGES) > 15
    assert len(python(DOCS / 'dense_prediction.md')) == 3
    assert len(options('train')) > 10


@every_page
def test_every_link_leads_somewhere(page):
    for link, anchor in re.findall(r'\]\(([^)#\s]*)#?([^)\s]*)\)',
                                   prose(page)):
        target = page.parent / link if link else page
        if '://' not in link:
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), (link, anchor)


@every_page
def test_every_file_that_is_named_exists(page):
    for name in re.findall(rf'(?<![\w./-])(?:{FOLDERS})/[\w./-]*\w',
                           page.read_text()):
        assert (ROOT / name).exists(), name
    pattern = rf'(?<![\w./*{{}}-])[\w./-]*[\w-]\.(?:{SUFFIXES})\b'
    for span in (*code(page), *map(' '.join, typed(page))):
        for name in {*re.findall(pattern, span)} - FOREIGN_FILES:
            assert any((place / name).exists()
                       for place in PLACES) or ('/' not in name and any(
                           ROOT.glob(f'*/**/{name}'))), name


@every_page
def test_every_table_is_rendered(page):
    text = prose(page)
    for table in re.findall(r'(?:^ *\|.*\n?)+', text, re.MULTILINE):
        rows = table.replace('\\|', '').splitlines()
        assert re.fullmatch(r' *\|(-+\|)+', rows[1]), rows[0]
        assert len({row.count('|') for row in rows}) == 1, rows[0]
    assert not re.search(r'^[^|\n<].*\n *\|.*\n *\|-', text, re.MULTILINE)


def test_every_page_and_tool_is_listed():
    index = (DOCS / 'README.md').read_text()
    listed = re.findall(r'^\| \[(.*?)\]\((.*?)\)', index, re.MULTILINE)
    names = {path.name for path in DOCS.glob('*.md')} - {'README.md'}
    assert {*listed} == {(name, name) for name in names}
    text = (DOCS / 'tools.md').read_text()
    assert re.findall(r'^\| `repmlp (\w+)`', text, re.M) == [*COMMANDS]
    for command, tool in re.findall(r'^\| `repmlp (\w+)` \| `(.*?)`', text,
                                    re.M):
        assert command_of(tool) == command


@every_page
def test_python_runs_in_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Pages speak of mmcls; the host may be another.
    exec(re.sub(r'\bmmcls\b', NAME, '\n'.join(python(page))), {})


@every_page
def test_every_command_is_understood(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for tool, *argv in commands(page):
        args = vars(parser_of(tool).parse_intermixed_args(argv))
        given = {word.split('=')[0] for word in argv if word.startswith('--')}
        assert given <= options(tool), tool
        if not (args.get('config') or 'CONFIG').isupper():
            read_config(args['config'], args.get('cfg_options'))


@every_page
def test_every_option_is_one_of_a_tool(page):
    known = {tool: options(tool) for tool in (*COMMANDS, *OTHERS)}
    every = set().union(*known.values())
    for span in code(page):
        given = {*re.findall(r'(?<!\S)--[a-z][\w-]*', span)}
        tool = span.removeprefix('repmlp ').split()[0]
        assert given <= known.get(tool, every), span


@every_page
def test_every_make_target_is_there(page):
    makefile = (ROOT / 'Makefile').read_text()
    for word, *rest in (*map(str.split, code(page)), *typed(page)):
        if word == 'make' and rest:
            assert re.search(f'^{rest[0]}:', makefile, re.MULTILINE), rest


@every_page
def test_every_python_name_is_known(page):
    for span in code(page):
        if (re.fullmatch(r'[A-Za-z_]\w*(\.\w+)*(\(\))?', span)
                and re.search(r'_|\(\)|[a-z][A-Z]', span)
                and not re.search(rf'\.({SUFFIXES}|pth)$', span)):
            assert {*re.findall(r'\w+', span)} <= known_words(), span


@functools.cache
def published_numbers():
    """Long counts and accuracies; short ones stand for other things too."""
    numbers = set()
    for model in indexed_models():
        data = model.metadata.data
        for form in ('', ' (deploy)'):
            numbers.add(f'{data["Parameters" + form] / 1e6:.3f}')
            numbers.add(f'{data["FLOPs" + form] / 1e9:.3f}')
        for result in model.results or ():
            numbers |= {f'{value:.2f}' for value in result.metrics.values()}
    return {each for each in numbers if re.search('[1-9].*([0-9].*){3}', each)}


@every_page
def test_published_numbers_come_from_the_metafile(page):
    # Copies elsewhere would not follow a correction.
    text = re.sub('(?s)<!-- [^>]* -->.*?<!-- end -->', '', page.read_text())
    written = {*re.findall(r'(?<![\w.])\d+\.\d+(?![\w.]*\d)', text)}
    assert len(published_numbers()) > 40
    assert not published_numbers() & written
