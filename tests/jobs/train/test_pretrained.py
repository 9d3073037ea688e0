import pytest
import torch
from mmengine.config import ConfigDict

from mmcls_repmlp.checkpoints import read_checkpoint, write_checkpoint
from mmcls_repmlp.checkpoints.download import cached_path
from mmcls_repmlp.host import build_classifier
from mmcls_repmlp.jobs.train import pretrained as module_under_test
from mmcls_repmlp.jobs.train.pretrained import (check_pretrained,
                                                fetch_pretrained)
from mmcls_repmlp.jobs.train.train import train
from repmlp_lite.errors import CheckpointError, ConfigError, UserError
from tests import helpers
from tests.helpers import TINY_CFG, assert_same, making, randomize


def classifier_cfg(init_cfg=None, num_classes=3, whole=None, **backbone):
    backbone = dict(TINY_CFG, type='RepMLPNet', init_cfg=init_cfg, **backbone)
    return ConfigDict(
        helpers.classifier_cfg(backbone, num_classes, init_cfg=whole))


def pretrained(checkpoint, prefix='backbone.'):
    return dict(type='Pretrained', checkpoint=str(checkpoint), prefix=prefix)


@pytest.fixture
def source(tmp_path):
    """A file with the weights of a classifier with three classes."""
    model = randomize(build_classifier(classifier_cfg()))
    write_checkpoint(dict(state_dict=model.state_dict()), tmp_path / 'a.pth')
    return tmp_path / 'a.pth'


def start(cfg):
    checkpoints = fetch_pretrained(cfg)
    model = build_classifier(cfg)
    check_pretrained(model, checkpoints)
    model.init_weights()
    return model


def test_the_backbone_is_filled_and_the_head_starts_anew(source):
    model = start(classifier_cfg(pretrained(source, 'backbone'), 7))
    weights = read_checkpoint(source)['state_dict']
    for key, value in model.backbone.state_dict().items():
        assert torch.equal(value, weights[f'backbone.{key}']), key
    assert model.head.fc.weight.shape == (7, 32)


def test_every_place_of_a_config_is_found_and_read_once(source, monkeypatch):
    read = []
    monkeypatch.setattr(
        module_under_test, 'read_checkpoint',
        lambda path: read.append(path) or read_checkpoint(path))
    constant = dict(type='Constant', val=0., layer='Linear')
    whole = dict(pretrained(source, None), type='mmengine.Pretrained')
    model = start(classifier_cfg([constant, pretrained(source)], whole=whole))
    assert read == [str(source)]
    assert_same([*model.state_dict().values()],
                [*read_checkpoint(source)['state_dict'].values()], 0)


def test_urls_become_files(source, web):
    address = web.put('/b.pth', source.read_bytes())
    cfg = classifier_cfg(pretrained(address))
    start(cfg)
    assert cfg.backbone.init_cfg.checkpoint == str(cached_path(address))


@pytest.mark.parametrize(
    ('change', 'options', 'message'),
    [
        # mmengine would only warn of each of these.
        (lambda w: w.pop('backbone.patch_embed.projection.weight'), {},
         '1 missing: patch_embed.projection.weight'),
        (lambda w: w.update({'backbone.final_norm.weight': torch.ones(3)}), {},
         '1 mis-shaped: final_norm.weight'),
        (lambda w: w.update({'backbone.more': torch.ones(3)}), {},
         '1 unexpected: more'),
        (lambda w: None, dict(deploy=True), 'training form .* deploy=True'),
        (lambda w: None, dict(init=dict(prefix='neck.')),
         "no weights below 'neck.'"),
        (lambda w: None, dict(init=dict(prefix=None)),
         "give .* prefix='backbone.'"),
    ])
def test_the_backbone_must_fit_exactly(source, change, options, message):
    weights = dict(read_checkpoint(source)['state_dict'])
    change(weights)
    write_checkpoint(dict(state_dict=weights), source, force=True)
    init_cfg = pretrained(source, **options.get('init', {}))
    options = {key: options[key] for key in options if key != 'init'}
    with pytest.raises(CheckpointError, match=message):
        start(classifier_cfg(init_cfg, **options))


def test_weights_saved_by_a_wrapper_in_the_short_form_of_mmcls(source):
    weights = read_checkpoint(source)['state_dict']
    wrapped = {f'module.{key}': value for key, value in weights.items()}
    write_checkpoint(wrapped, source, force=True)
    cfg = classifier_cfg()
    cfg.pretrained = str(source)
    assert_same(start(cfg).head.fc.weight, weights['head.fc.weight'], 0)


def test_nothing_to_start_from():
    assert fetch_pretrained(classifier_cfg()) == {}
    with pytest.raises(ConfigError, match='has no checkpoint'):
        fetch_pretrained(classifier_cfg(dict(type='Pretrained')))


@pytest.mark.parametrize(('place', 'url'), [('model.init_cfg', False),
                                            ('model.backbone.init_cfg', True)])
def test_training_runs_no_code_from_what_it_starts_from(
        project, tmp_path, web, marker, url, place):
    source = tmp_path / 'bad.pth'
    torch.save(dict(state_dict=making(marker)), source)
    if url:
        source = web.put('/b.pth', source.read_bytes())
    options = {place: pretrained(source, None)}
    with pytest.raises(CheckpointError, match='could run code'):
        train(project.config, f'{tmp_path}/work', cfg_options=options)
    assert not (tmp_path / 'work').exists()


def test_training_refuses_what_is_of_another_size(project, tmp_path):
    options = {
        'model.backbone.init_cfg': pretrained(project.trained),
        'model.backbone.img_size': 64
    }
    with pytest.raises(UserError, match='repmlp resize'):
        train(project.config, f'{tmp_path}/work', cfg_options=options)
