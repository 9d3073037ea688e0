import os

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner.checkpoint import _load_checkpoint, load_checkpoint

from mmcls_repmlp import RepMLPNet
from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.checkpoints.host_loaders import (load_safely,
                                                   make_loading_safe)
from repmlp_lite.errors import CheckpointError
from tests.helpers import TINY_CFG, assert_same, making, random_model


def weights(seed=0):
    return random_model(RepMLPNet, seed, **TINY_CFG).state_dict()


@pytest.fixture(params=['disk', 'web'])
def put(request, web, tmp_path):
    """Save a file where mmengine takes it from, and name it."""

    def put(content):
        path = tmp_path / 'a.pth'
        torch.save(content, path)
        if request.param == 'disk':
            return str(path)
        return web.put('/weights.pth', path.read_bytes())

    return put


# Names of wrappers, in another envelope.
@pytest.mark.parametrize(('prefix', 'envelope'),
                         [('', 'state_dict'), ('module._orig_mod.', 'model')])
def test_a_model_is_loaded(put, prefix, envelope):
    wrapped = {f'{prefix}{key}': value for key, value in weights().items()}
    model = random_model(RepMLPNet, seed=1, **TINY_CFG)
    load_checkpoint(model, put({envelope: wrapped, 'epoch': 3}))
    assert_same([*model.state_dict().values()], [*weights().values()], 0)


def test_a_hostile_file_does_not_run(put, marker):
    file = put(dict(state_dict=making(marker)))
    cfg = dict(type='Pretrained', checkpoint=file)
    for load in (RepMLPNet(**TINY_CFG, init_cfg=cfg).init_weights,
                 lambda: _load_checkpoint(file, map_location='cpu')):
        with pytest.raises(CheckpointError, match='could run code'):
            load()


@pytest.mark.parametrize('put', ['web'], indirect=True)
@pytest.mark.parametrize('scheme', ['torchvision', 'mmcls', 'openmmlab'])
def test_names_that_stand_for_addresses(put, marker, monkeypatch, scheme):
    address = put(dict(state_dict=making(marker)))
    for table in ('get_torchvision_models', 'get_mmcls_models',
                  'get_external_models'):
        monkeypatch.setattr(mmengine_checkpoint, table,
                            lambda: dict(resnet50=address))
    monkeypatch.setattr(mmengine_checkpoint, 'get_deprecated_model_names',
                        lambda: {})
    with pytest.raises(CheckpointError, match='could run code'):
        CheckpointLoader.load_checkpoint(f'{scheme}://resnet50', 'cpu')


@pytest.fixture
def storage(monkeypatch):
    """A scheme whose loader trusts every file, then made safe."""
    monkeypatch.setattr(CheckpointLoader, '_schemes',
                        dict(CheckpointLoader._schemes))

    @CheckpointLoader.register_scheme(prefixes='storage://')
    def load(filename, map_location=None):
        return torch.load(
            filename.removeprefix('storage://'),
            map_location=map_location,
            weights_only=False)

    make_loading_safe()


def test_loaders_of_other_storage_are_made_safe(storage, tmp_path, marker,
                                                monkeypatch):
    name = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
    monkeypatch.setenv(name, '0')
    path = tmp_path / 'a.pth'
    torch.save(dict(state_dict=weights()), path)
    read = CheckpointLoader.load_checkpoint(f'storage://{path}', 'cpu')
    assert_same([*read['state_dict'].values()], [*weights().values()], 0)
    torch.save(making(marker), path)
    with pytest.raises(Exception, match='Weights only load failed'):
        CheckpointLoader.load_checkpoint(f'storage://{path}', 'cpu')
    assert os.environ[name] == '0'
    monkeypatch.delenv(name)
    with pytest.raises(Exception, match='Weights only load failed'):
        CheckpointLoader.load_checkpoint(f'storage://{path}', 'cpu')
    assert name not in os.environ


def test_making_safe_twice_does_no_more(storage):
    make_loading_safe()
    schemes = CheckpointLoader._schemes
    assert schemes[''] is load_safely
    assert not hasattr(schemes['storage://'].__wrapped__, '__wrapped__')


def test_no_config_of_a_file_reaches_mmengine(put):
    kept = dict(epoch=3, dataset_meta=dict(classes=['a']))
    file = put(
        dict(
            state_dict=weights(),
            meta=dict(kept, config='1', cfg='2'),
            message_hub=dict(runtime_info=dict(cfg='3', iter=4))))
    read = _load_checkpoint(file)
    assert read['meta'] == kept
    assert read['message_hub'] == dict(runtime_info=dict(iter=4))
    # Our own tools keep it, as data.
    assert read_checkpoint(file)['meta']['cfg'] == '2'


def test_mmengine_names_the_loader(put, caplog):
    logger = MMLogger.get_instance('named', logger_name='named')
    logger.addHandler(caplog.handler)
    file = put(weights())
    _load_checkpoint(file, logger=logger)
    assert f'Loads checkpoint by safe backend from path: {file}' in caplog.text
