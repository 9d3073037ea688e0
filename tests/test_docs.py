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
from tests.helpers import ROOT
from tests.programs import loaded

PAGES = sorted(
    path for path in (*ROOT.glob('*.md'), *ROOT.glob('docs/*.md'),
                      ROOT / 'demo' / 'README.md',
                      ROOT / 'tests' / 'data' / 'README.md')
    if path != ROOT / 'docs' / 'api.md')  # generated
every_page = pytest.mark.parametrize(
    'page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))

CODE = ('mmcls_repmlp', 'repmlp_lite', 'tools', 'demo', 'benchmarks',
        'configs', 'tests')
FOLDERS = '|'.join((*CODE, 'docs', 'requirements'))
BENCHMARK = 'python benchmarks/benchmark.py'
# Folders whose files pages name by the last part of their paths.
PLACES = [ROOT, *(ROOT / name for name in (*CODE, 'configs/repmlp', 'docs'))]
SUFFIXES = ('py', 'sh', 'yml', 'yaml', 'toml', 'pt')
# Files of others, such as the hosts' tools, and files that a reader writes.
FOREIGN_FILES = {
    'config.py', 'cutout.py', 'data/build.py', 'deploy.py', 'lr_scheduler.py',
    'main_repmlp.py', 'mini-0123abcd.py', 'optimizer.py', 'randaug.py',
    'repmlp_t224_ascend.yaml', 'analyze_logs.py', 'analyze_results.py',
    'eval_metric.py', 'kfold-cross-valid.py', 'mmcls2torchserve.py',
    'mmpretrain2torchserve.py', 'print_config.py', 'shape_bias.py',
    'verify_dataset.py', 'vis_cam.py', 'vis_scheduler.py', 'vis_tsne.py'
}
# Names of environment variables, which no Python here has.
FOREIGN_NAMES = {'PIP_EXTRA_INDEX_URL', 'PIP_FIND_LINKS', 'WANDB_MODE'}


def blocks(page, language):
    """Contents of a page's fenced blocks of a language."""
    return re.findall(rf'```{language}\n(.*?)```', page.read_text(), re.DOTALL)


def prose(page):
    """A page without its fenced blocks."""
    return re.sub(
        '^ *```.*?^ *```',
        '',
        page.read_text(),
        flags=re.DOTALL | re.MULTILINE)


def code(page):
    """What stands in backticks in a page's prose, line breaks joined."""
    return [
        ' '.join(span.split()) for span in re.findall('`([^`]+)`', prose(page))
    ]


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
    """Tools with their arguments, in blocks and in prose."""
    inline = [
        re.sub('^B ', f'{BENCHMARK} ', span) for span in code(page)
        if re.match(r'(B|python) ', span) and span != BENCHMARK
    ]
    for word, *argv in (*typed(page), *map(shlex.split, inline)):
        if word == 'python' and not argv[0].startswith('-'):
            yield argv


class ParserError(Exception):
    pass


@functools.cache
def parser_of(tool):
    """The parser that a tool makes; it is stopped where it would parse."""

    def parse(self, args=None, namespace=None):
        raise ParserError(self)

    module = loaded(ROOT / tool)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(
            ParserError) as made:
        for name in ('parse_args', 'parse_intermixed_args'):
            patch.setattr(argparse.ArgumentParser, name, parse)
        module.main([])
    return made.value.args[0]


@functools.cache
def options(tool):
    return set(re.findall(r'--[a-z][\w-]*', parser_of(tool).format_help()))


TOOLS = sorted(
    str(path.relative_to(ROOT)) for path in (ROOT / 'tools').rglob('*.py'))
PROGRAMS = [
    *TOOLS, *(str(path.relative_to(ROOT)) for folder in ('demo', 'benchmarks')
              for path in (ROOT / folder).glob('*.py')
              if 'def main' in path.read_text())
]


def slug(heading):
    """The anchor that GitHub gives a heading."""
    text = re.sub(r'[^\w\- ]', '', heading.replace('`', '').lower())
    return text.replace(' ', '-')


def anchors(page):
    return {
        slug(heading)
        for heading in re.findall('^#+ (.*)$', prose(page), re.MULTILINE)
    }


def named_files(page):
    """Files that a page names in backticks or in commands."""
    spans = [*code(page), *(word for line in typed(page) for word in line)]
    for span in spans:
        yield from re.findall(
            rf'(?<![\w./*{{}}-])[\w./-]*[\w-]\.(?:{"|".join(SUFFIXES)})\b',
            span)


def is_there(name):
    return any((place / name).exists()
               for place in PLACES) or ('/' not in name
                                        and any(ROOT.glob(f'*/**/{name}')))


@functools.cache
def known_words():
    """Every word in Python files here and in the host's packages."""
    folders = [ROOT / name for name in CODE]
    for package in ('mmcls', 'mmpretrain', 'mmengine', 'mmcv'):
        if spec := importlib.util.find_spec(package):
            folders.append(Path(spec.origin).parent)
    return FOREIGN_NAMES | {
        word
        for folder in folders
        for path in folder.rglob('*.py')
        for word in re.findall(r'\w+', path.read_text(errors='ignore'))
    }


def is_a_name(span):
    """Whether a span has the form of a Python name."""
    return (re.fullmatch(r'[A-Za-z_]\w*(\.\w+)*(\(\))?', span)
            and not span.endswith(tuple(f'.{s}' for s in (*SUFFIXES, 'pth')))
            and re.search(r'_|\(\)|[a-z][A-Z]', span))


def test_pages_are_found():
    assert {
        'README.md', 'SECURITY.md', 'docs/finetuning.md', 'demo/README.md',
        'tests/data/README.md'
    } <= {str(page.relative_to(ROOT))
          for page in PAGES}
    assert len(python(ROOT / 'docs' / 'dense_prediction.md')) == 3
    assert len(TOOLS) > 12 and len(options('tools/train.py')) > 10


@every_page
def test_every_link_leads_somewhere(page):
    for link, anchor in re.findall(r'\]\(([^)#\s]*)#?([^)\s]*)\)',
                                   prose(page)):
        if '://' in link:
            continue
        target = page.parent / link if link else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), f'{link}#{anchor}'


@every_page
def test_every_file_that_is_named_exists(page):
    for name in re.findall(rf'(?<![\w./-])(?:{FOLDERS})/[\w./-]*\w',
                           page.read_text()):
        assert (ROOT / name).exists(), name
    for name in {*named_files(page)} - FOREIGN_FILES:
        assert is_there(name), name


@every_page
def test_every_table_is_rendered(page):
    text = prose(page)
    for table in re.findall(r'(?:^ *\|.*\n?)+', text, re.MULTILINE):
        rows = table.replace('\\|', '').splitlines()
        assert re.fullmatch(r' *\|(-+\|)+', rows[1]), rows[0]
        assert len({row.count('|') for row in rows}) == 1, rows[0]
    assert not re.search(r'^[^|\n<].*\n *\|.*\n *\|-', text, re.MULTILINE)


def test_every_page_and_tool_is_listed():
    index = ROOT / 'docs' / 'README.md'
    listed = re.findall(r'^\| \[(.*?)\]\((.*?)\)', index.read_text(),
                        re.MULTILINE)
    assert {name
            for pair in listed
            for name in pair
            } == {path.name
                  for path in index.parent.glob('*.md')} - {index.name}
    text = (ROOT / 'docs' / 'tools.md').read_text()
    assert not [tool for tool in TOOLS if tool not in text]


def python(page):
    """Python blocks of a page that need nothing else."""
    return [
        block for block in blocks(page, 'python')
        if not block.startswith('# needs ')
    ]


@every_page
def test_python_runs_in_order(page):
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
    known = {tool: options(tool) for tool in PROGRAMS}
    every = set().union(*known.values())
    for span in code(page):
        given = {*re.findall(r'(?<!\S)--[a-z][\w-]*', span)}
        tool = span.split()[0].removeprefix('python ')
        assert given <= known.get(tool, every), span


@every_page
def test_every_make_target_is_there(page):
    makefile = (ROOT / 'Makefile').read_text()
    spans = (*map(str.split, code(page)), *typed(page))
    for word, *rest in spans:
        if word == 'make' and rest:
            assert re.search(f'^{rest[0]}:', makefile, re.MULTILINE), rest


@every_page
def test_every_python_name_is_known(page):
    for span in filter(is_a_name, code(page)):
        for word in re.findall(r'\w+', span):
            assert word in known_words(), span


@functools.cache
def published_numbers():
    """Counts and accuracies as they are written, if they are long.

    Short ones, such as 8.06, stand for other things as well.
    """
    numbers = set()
    for model in indexed_models():
        data = model.metadata.data
        for form in ('', ' (deploy)'):
            numbers.add(f'{data["Parameters" + form] / 1e6:.3f}')
            numbers.add(f'{data["FLOPs" + form] / 1e9:.3f}')
        for result in model.results or ():
            numbers |= {f'{value:.2f}' for value in result.metrics.values()}
    return {
        number
        for number in numbers if len(number.replace('.', '').lstrip('0')) >= 4
    }


@every_page
def test_published_numbers_come_from_the_metafile(page):
    # Copies elsewhere would not follow a correction.
    text = re.sub(
        '<!-- [^>]* -->.*?<!-- end -->', '', page.read_text(), flags=re.DOTALL)
    written = {*re.findall(r'(?<![\w.])\d+\.\d+(?![\w.]*\d)', text)}
    assert len(published_numbers()) > 40
    assert not published_numbers() & written
