"""The model zoo says what the model index says."""
import re

import pytest

from mmcls_repmlp.apis._shared.config import read_config
from mmcls_repmlp.plugin.model_index import config_of, indexed_models
from tests.helpers import ROOT

PAGE = (ROOT / 'docs' / 'model_zoo.md').read_text()
ROWS = {
    cells[0]: cells[1:]
    for line in PAGE.splitlines()
    if (cells := [cell.strip() for cell in line.strip('|').split('|')])
    and len(cells) == 8 and re.fullmatch(r'rep\S+_(in1k|cifar10)\S*', cells[0])
}
MODELS = indexed_models()


def numbers(cell):
    return [float(number) for number in cell.split('/')]


def test_one_row_for_every_model():
    assert [*ROWS] == [model.name for model in MODELS]


@pytest.mark.parametrize('model', MODELS, ids=lambda m: m.name)
def test_rows(model):
    name, params, macs, top1, top5, source, weights = ROWS[model.name]
    said = model.metadata.data
    for cell, what, unit in ((params, 'Parameters', 1e6), (macs, 'FLOPs',
                                                           1e9)):
        assert numbers(cell) == [
            round(said[what] / unit, 3),
            round(said[f'{what} (deploy)'] / unit, 3)
        ]
    metrics = model.results[0].metrics if model.results else {}
    assert (float(top1) if top1 else None) == metrics.get('Top 1 Accuracy')
    assert (float(top5) if top5 else None) == metrics.get('Top 5 Accuracy')
    assert f'**{source}**' in PAGE
    assert (f'({model.weights})' in weights) is (model.weights is not None)
    backbone = read_config(config_of(model)).model.backbone
    if backbone.type == 'RepMLPNet':
        assert name == f'{backbone.arch.upper()[0]}{backbone.img_size}'
