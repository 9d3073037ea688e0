"""Generated pages are up to date, and their tables are correct."""
import re

import pytest

from docs.generate import jobs, official_table, pages, table
from mmcls_repmlp.host.model_index import config_of, indexed_models
from mmcls_repmlp.jobs.shared.config import read_config

PAGES = pages()
MODELS = indexed_models()


@pytest.mark.parametrize('path', PAGES, ids=lambda path: path.name)
def test_is_up_to_date(path):
    assert path.read_text() == PAGES[path], 'run python docs/generate.py'


def test_every_model_has_its_row():
    zoo = next(text for path, text in PAGES.items()
               if path.name == 'model_zoo.md')
    names = re.findall(r'^\| (repmlp-\S+_\S+) \|', zoo, re.MULTILINE)
    assert names == [model.name for model in MODELS]
    for source in ('official', 'mmcls', 'first paper'):
        assert f'**{source}**' in zoo


def test_a_row_has_the_numbers_of_the_metafile():
    rows = table('RepMLPNet').splitlines()
    assert rows[4].startswith(
        '| repmlp-base_8xb32_in1k | B224 | 68.243 / 68.333 | 6.676 / 6.657 | '
        '80.32 | | official |')


def test_accuracies_by_the_official_recipe_are_in_training():
    rows = official_table('RepMLPNet').splitlines()
    assert rows[2] == '| T224 | `repmlp-tiny_8xb32_in1k.py` | 76.62 |'
    training = next(text for path, text in PAGES.items()
                    if path.name == 'training.md')
    assert official_table('RepMLPNet') in training
    # mmcls' weights were trained otherwise.
    assert '8xb64' not in official_table('RepMLPNet')


@pytest.mark.parametrize('model', MODELS, ids=lambda model: model.name)
def test_variants_are_those_of_the_configs(model):
    variant = model.metadata.data['Variant']
    backbone = read_config(config_of(model)).model.backbone
    if backbone.type == 'RepMLPNet':
        assert variant == f'{backbone.arch.upper()[0]}{backbone.img_size}'
    else:
        assert backbone.get('block', variant) in (variant.split(',')[0],
                                                  'light', 'bottleneck')


def test_every_tool_has_its_job_on_the_page():
    found = [*jobs()]
    assert {'train', 'test',
            'predict'} <= {name.rsplit('.', 1)[1]
                           for name, _ in found}
    assert len(found) > 10 and all(job.__doc__ for _, job in found)
