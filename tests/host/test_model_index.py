"""The models that the index names are there, and are what it says."""
import re

import numpy as np
import pytest
import torch

from mmcls_repmlp import RepMLPNet
from mmcls_repmlp.host import ImageClassificationInferencer, ModelHub
from mmcls_repmlp.host.model_index import (config_of, indexed_models, mim_root,
                                           register_models)
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.model import build_model
from mmcls_repmlp.reparam import complexity
from tests.helpers import ROOT
from tests.host_parts import host

MODELS = indexed_models()
TINY, HOSTS = 'repmlp-tiny_8xb32_in1k', 'repmlp-base_3rdparty_8xb64_in1k'


def test_the_index_is_found():
    assert (mim_root() / 'model-index.yml').samefile(ROOT / 'model-index.yml')


@pytest.mark.parametrize('model', MODELS, ids=lambda m: m.name)
def test_models_are_what_is_said_of_them(model):
    assert model.config == f'configs/repmlp/{model.name}.py'
    assert model.data['Source'].startswith('https://')
    first = 'resnet' in model.name or 'cifar' in model.name
    family = 'RepMLP' if first else 'RepMLPNet'
    assert model.in_collection == ('ResMLP' if model.name.startswith('resmlp')
                                   else family)
    assert model.weights is None or re.fullmatch(
        r'https://\S+-[0-9a-f]{8}\.pth', model.weights)
    # Of some the paper that was at hand gives no accuracy.
    assert model.results or first or '-local' in model.name
    for result in model.results or []:
        assert 70 < result.metrics['Top 1 Accuracy'] < 95
    said = model.metadata.data
    for deploy, where in ((False, ''), (True, ' (deploy)')):
        with torch.device('meta'):
            built = build_model(read_config(config_of(model, deploy)))
        counts = complexity(built, (3, *built.backbone.img_size))
        assert counts.params == said[f'Parameters{where}']
        assert counts.macs == said[f'FLOPs{where}']


def test_groups_cost_what_the_paper_says():
    # arXiv 2105.01883, section 4.2: from g8/16 to g4/8 47 % more parameters
    # and 3.6 % more FLOPs, in deploy form.
    few, many = (
        next(model.metadata.data for model in MODELS if groups in model.name)
        for groups in ('-g8-16_', '-g4-8_'))
    for key, ratio, atol in (('Parameters (deploy)', 1.47, 0.01),
                             ('FLOPs (deploy)', 1.036, 0.001)):
        assert many[key] / few[key] == pytest.approx(ratio, abs=atol)


def test_the_host_lists_them():
    before = dict(ModelHub._models_dict)
    register_models()  # once more
    assert ModelHub._models_dict == before
    # The host's own entries stay.
    assert {model.name
            for model in MODELS} | {HOSTS} <= {
                *host.list_models('*re[ps]mlp*')
            }


def test_the_host_builds_them_by_name_and_classifies(image):
    with torch.device('meta'):
        large = host.get_model(HOSTS, head=dict(num_classes=3), device='meta')
    tiny = host.get_model(TINY, head=dict(num_classes=3))
    for model in (large, tiny):
        assert type(model.backbone) is RepMLPNet
        assert model.head.fc.out_features == 3
    result, = ImageClassificationInferencer(tiny)(str(image))
    assert len(result['pred_scores']) == 3
    np.testing.assert_allclose(result['pred_scores'].sum(), 1, rtol=1e-5)


def test_the_inferencer_runs_by_config_and_checkpoint(project):
    images = [*map(str, project.data.glob('val/3/*.png'))]
    inferencer = ImageClassificationInferencer(
        str(project.config), str(project.trained), device='cpu')
    results = inferencer(images, batch_size=2)
    assert len(results) == len(images) > 1
    for result in results:
        assert result['pred_class'] == str(result['pred_label'])
        np.testing.assert_allclose(result['pred_scores'].sum(), 1, rtol=1e-5)
