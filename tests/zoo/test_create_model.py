import re

import pytest
import torch

from mmcls_repmlp import create_model, list_models
from mmcls_repmlp.checkpoints import resized_state_dict
from mmcls_repmlp.host.model_index import indexed_models
from mmcls_repmlp.zoo import create_model as create_model_function
from repmlp_lite.errors import CheckpointError, UserError
from tests.helpers import TINY, assert_same, randn, randomize

SMALL = dict(num_classes=3, img_size=32, arch=TINY)
FC3 = 'backbone.stages.0.0.repmlp_block.fc3.weight'


@pytest.mark.parametrize('name', list_models())
def test_every_name_is_a_model(name):
    with torch.device('meta'):
        model = create_model(name, num_classes=5).eval()
        images = torch.empty(2, *model.default_cfg['input_size'])
        assert model(images).shape == (2, 5)
        model.backbone.out_indices = range(model.backbone.num_stages)
        maps = model.backbone(images)
    assert [out.shape[1] for out in maps
            ] == [info['num_chs'] for info in model.feature_info]


def test_every_entry_of_the_index_has_a_name():
    entries = create_model_function.__globals__['_ENTRIES']
    named = {entry for entries in entries.values() for entry in entries}
    # Two configs train RepMLP-B from nothing; names lead to the other two.
    rest = {model.name for model in indexed_models()} - named
    assert rest == {'repmlp-base_8xb32_in1k', 'repmlp-base_8xb32_in1k-256px'}


def test_names_are_filtered():
    assert list_models('repmlpnet_*') == [f'repmlpnet_{v}' for v in 'tbdl']
    assert list_models(pretrained=True) == ['repmlpnet_b']


def test_arguments_reach_the_model():
    model = create_model(
        'repmlpnet_t', in_chans=1, drop_path_rate=0.3, **SMALL).eval()
    assert model(torch.rand(2, 1, 32, 32)).shape == (2, 3)
    assert model.cfg.model.backbone.drop_path_rate == 0.3
    maps = create_model(
        'repmlpnet_t', features_only=True, out_indices=(0, -1),
        **SMALL).eval()(
            torch.rand(2, 3, 32, 32))
    assert [out.shape for out in maps] == [(2, 8, 8, 8), (2, 32, 2, 2)]
    # The pipeline of its config is that of the size.
    steps = model.cfg.test_dataloader.dataset.pipeline
    assert [step.crop_size for step in steps if 'crop_size' in step] == [32]


def test_weights_that_are_made_to_start_with_are_not_zero():
    head = create_model('repmlpnet_t', **SMALL).get_classifier()
    assert 0.005 < head.weight.std() < 0.02


@pytest.mark.parametrize('deploy', [False, True])
def test_a_checkpoint_is_loaded_in_its_form(tmp_path, deploy):
    model = randomize(create_model('repmlpnet_t', **SMALL)).eval()
    if deploy:
        model.switch_to_deploy()
    torch.save(model.state_dict(), tmp_path / 'a.pth')
    again = create_model(
        'repmlpnet_t', checkpoint_path=tmp_path / 'a.pth', **SMALL).eval()
    assert again.deploy is deploy
    images = torch.rand(2, 3, 32, 32)
    assert_same(again(images), model(images), 0)


@pytest.fixture
def published(monkeypatch, tmp_path):
    """Weights of RepMLP-B, narrow, as if they were downloaded."""
    model = randomize(create_model('repmlpnet_b', img_size=32, arch=TINY))
    torch.save(model.state_dict(), tmp_path / 'b.pth')
    models = create_model_function.__globals__
    configs = models['_configs']

    def narrow(name):
        return [(path, url and tmp_path / 'b.pth')
                for path, url in configs(name)]

    choose = models['_choose']

    def chosen(name, size):
        cfg, url = choose(name, size)
        cfg.model.backbone.update(arch=TINY, img_size=32)
        return cfg, url

    monkeypatch.setitem(models, '_configs', narrow)
    monkeypatch.setitem(models, '_choose', chosen)
    return model.eval()


def test_downloaded_weights_fill_all(published):
    model = create_model('repmlpnet_b', pretrained=True).eval()
    images = torch.rand(2, 3, 32, 32)
    assert_same(model(images), published(images), 0)


def test_downloaded_weights_are_fitted(published):
    model = create_model(
        'repmlpnet_b', pretrained=True, num_classes=3, img_size=64)
    expected = resized_state_dict(published, model)
    own = model.state_dict()
    for name in own:
        if name.startswith('backbone.'):
            assert torch.equal(own[name], expected[name]), name
    assert own['head.fc.weight'].shape == (3, 32)
    assert own[FC3].shape != published.state_dict()[FC3].shape


@pytest.mark.parametrize(('name', 'options', 'kind', 'words'), [
    ('repmlpnet', {}, UserError, "no model 'repmlpnet'; did you mean 'repmlp"),
    ('repmlpnet_d', dict(pretrained=True), UserError,
     "no weights of 'repmlpnet_d' to download, but of repmlpnet_b"),
    ('repmlpnet_t', dict(img_size=33), ValueError, 'img_size must be a mult'),
    ('repmlpnet_t', dict(img_size=-1), ValueError, 'img_size'),
    ('repmlpnet_t', dict(drop_path=1), TypeError, "mean 'drop_path_rate'"),
    ('repmlpnet_t', dict(checkpoint_path='no.pth'), CheckpointError, 'no.pth'),
])
def test_what_cannot_be_is_refused(name, options, kind, words):
    with torch.device('meta'), pytest.raises(kind, match=words):
        create_model(name, **options)


def test_a_checkpoint_of_other_classes_is_refused(tmp_path):
    model = create_model('repmlpnet_t', **SMALL)
    torch.save(model.state_dict(), tmp_path / 'a.pth')
    words = re.escape('head.fc.weight (model (7, 32)')
    with pytest.raises(CheckpointError, match=words):
        create_model(
            'repmlpnet_t',
            checkpoint_path=tmp_path / 'a.pth',
            **{
                **SMALL, 'num_classes': 7
            })


def test_double_precision_and_gradients():
    model = create_model('repmlp_cifar', num_classes=4).double()
    model(randn(2, 3, 32, 32)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
