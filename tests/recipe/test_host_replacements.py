import copy

import pytest
from mmengine.config import Config
from mmengine.hooks import CheckpointHook

from mmcls_repmlp.host import NAME, CustomDataset
from mmcls_repmlp.recipe import HOST_REPLACEMENTS, replace_host_parts


def replaced(scope='mmcls', **settings):
    """The config after two calls, of which the second changes nothing."""
    cfg = Config(dict(default_scope=scope, **copy.deepcopy(settings)))
    replace_host_parts(cfg)
    once = copy.deepcopy(cfg.to_dict())
    replace_host_parts(cfg)
    assert cfg.to_dict() == once
    return once


@pytest.mark.parametrize(('registry', 'theirs', 'ours'), HOST_REPLACEMENTS)
def test_ours_stand_under_their_own_names(registry, theirs, ours):
    assert issubclass(ours, theirs)
    assert registry.get(ours.__name__) is ours
    assert registry.get(theirs.__name__) is theirs


@pytest.mark.parametrize('scope', ['mmcls', NAME])
@pytest.mark.parametrize(('kind', 'ours'), [
    ('CustomDataset', 'ImageFolder'),
    (f'{NAME}.datasets.CustomDataset', 'ImageFolder'),
    (CustomDataset, 'ImageFolder'),
    ('ImageNet', 'ImageNetFolder'),
    ('ImageNet21k', 'ImageNet21kFolder'),
    ('LoadImageFromFile', 'LoadImageStrict'),
    ('mmcv.transforms.LoadImageFromFile', 'LoadImageStrict'),
])
def test_all_names_of_the_hosts_part_are_replaced_at_any_depth(
        scope, kind, ours):
    step = dict(type=kind, a=1)
    found = replaced(
        scope,
        train_dataloader=dict(
            dataset=dict(type='RepeatDataset', dataset=step, times=2)),
        tta_pipeline=[dict(transforms=[[step], (step, )])])
    wanted = dict(type=ours, a=1)
    assert found['train_dataloader']['dataset']['dataset'] == wanted
    assert found['tta_pipeline'] == [dict(transforms=[[wanted], (wanted, )])]


@pytest.mark.parametrize('kind', [
    'CIFAR10', 'MultiLabelDataset', 'MyCustomDataset', 'nowhere.CustomDataset',
    type('Own', (CustomDataset, ), {}), None
])
def test_other_types_are_left_alone(kind):
    settings = dict(dataset=dict(type=kind))
    assert replaced(**settings)['dataset'] == settings['dataset']


def test_other_scopes_are_left_alone():
    data = dict(type='CustomDataset')
    other = dict(scope='mmseg', data=data, default_hooks={})
    assert replaced(**other) == dict(
        default_scope='mmseg', data=data, default_hooks={})
    nested = dict(type='CustomDataset', _scope_='mmdet')
    assert replaced(data=nested)['data'] == nested


CHECKPOINT = dict(type='AtomicCheckpointHook', interval=1)
SEED = dict(type='ReproducibleSeedHook')


@pytest.mark.parametrize(('given', 'checkpoint', 'seed'), [
    (dict(), CHECKPOINT, SEED),
    (dict(default_hooks=None), CHECKPOINT, SEED),
    (dict(default_hooks=dict(checkpoint=None, sampler_seed=None)), None, None),
    (dict(
        default_hooks=dict(checkpoint=dict(type=CheckpointHook, interval=1))),
     CHECKPOINT, SEED),
    (dict(default_hooks=dict(checkpoint=dict(type='Own'))), dict(type='Own'),
     SEED),
])
def test_hooks_that_mmengine_adds_are_ours_too(given, checkpoint, seed):
    assert replaced(**given)['default_hooks'] == dict(
        checkpoint=checkpoint, sampler_seed=seed)
