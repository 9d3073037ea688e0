"""Generated pages are up to date, and their tables are correct."""
import re

import pytest

from docs.generate import DOCS, jobs, official_table, pages, table
from mmcls_repmlp.host.model_index import config_of, indexed_models
from mmcls_repmlp.jobs.shared.config import read_config

PAGES = pages()
MODELS = indexed_models()


@pytest.mark.parametrize('path', PAGES, ids=lambda path: path.name)
def test_is_up_to_date(path):
    assert path.read_text() == PAGES[path], 'run python docs/generate.py'


def test_every_model_has_its_row_with_the_numbers_of_the_metafile():
    zoo = PAGES[DOCS / 'model_zoo.md']
    names = re.findall(r'^\| (re[ps]mlp-\S+_\S+) \|', zoo, re.MULTILINE)
    assert names == [model.name for model in MODELS]
    for source in ('official', 'mmcls', 'first paper', 'ResMLP paper'):
        assert f'**{source}**' in zoo
    assert table('RepMLPNet').splitlines()[4].startswith(
        '| repmlp-base_8xb32_in1k | B224 | 68.243 / 68.333 | 6.676 / 6.657 | '
        '80.32 | | official |')


def test_accuracies_by_the_official_recipe_are_in_training():
    text = official_table('RepMLPNet')
    assert text.splitlines()[2] == (
        '| T224 | `repmlp-tiny_8xb32_in1k.py` | 76.62 |')
    assert text in PAGES[DOCS / 'training.md']
    assert '8xb64' not in text  # mmcls' weights were trained otherwise


@pytest.mark.parametrize('model', MODELS, ids=lambda model: model.name)
def test_variants_are_those_of_the_configs(model):
    variant = model.metadata.data['Variant']
    backbone = read_config(config_of(model)).model.backbone
    if backbone.type == 'ResMLP':
        local = ', local' if backbone.reparam_conv_kernels else ''
        assert variant == backbone.arch.upper() + local
    elif backbone.type == 'RepMLPNet':
        assert variant == f'{backbone.arch.upper()[0]}{backbone.img_size}'
    else:
        assert backbone.get('block', variant) in (variant.split(',')[0],
                                                  'light', 'bottleneck')


def test_every_tool_has_its_job_on_the_page():
    names = {name.rsplit('.', 1)[1] for name, job in jobs() if job.__doc__}
    assert {'train', 'test', 'predict'} <= names and len(names) > 10
