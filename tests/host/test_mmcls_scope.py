"""The scope mmcls, where mmpretrain is installed and mmcls is not."""
import pickle
from importlib import import_module

import numpy as np
import pytest
from mmengine.hooks import IterTimerHook
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope

from mmcls_repmlp import RepMLPNet
from mmcls_repmlp.host import DATASETS, MODELS, TRANSFORMS
from mmcls_repmlp.host.mmcls_scope import open_mmcls_scope
from tests.programs import run_python


def test_names_with_the_scope_find_ours_from_any_registry():
    for registry in (MODELS, ROOT_MODELS):
        assert registry.get('mmcls.RepMLPNet') is RepMLPNet
        assert registry.get('mmpretrain.RepMLPNet') is RepMLPNet
        assert registry.get('mmcls.NoSuchNet') is None


def test_building_in_the_scope_is_silent(caplog):
    with DefaultScope.overwrite_default_scope('mmcls'):
        TRANSFORMS.build(dict(type='PackClsInputs'))
    assert 'mmcls' not in caplog.text


def test_the_other_names_of_the_host_are_found_too():
    registry = import_module('mmcls.registry')
    assert registry.MODELS.get('ResNet') is MODELS.get('ResNet')
    assert registry.MODELS.get('mmengine.BaseModel') is None
    assert registry.HOOKS.get('mmengine.IterTimerHook') is IterTimerHook


def test_there_is_still_no_mmcls():
    done = run_python('-c', 'import mmcls_repmlp, mmcls')
    assert "No module named 'mmcls'" in done.stderr


def test_opening_twice_changes_nothing():
    before = ROOT_MODELS.children['mmcls']
    open_mmcls_scope()
    assert ROOT_MODELS.children['mmcls'] is before


@pytest.fixture
def cifar(tmp_path):
    """Batches in CIFAR-10's format: two training images, one test image."""
    folder = tmp_path / 'cifar-10-batches-py'
    folder.mkdir()
    for name, labels in (*((f'data_batch_{i}', [i])
                           for i in range(1, 6)), ('test_batch', [9])):
        (folder / name).write_bytes(
            pickle.dumps(
                dict(
                    data=np.zeros((len(labels), 3072), np.uint8),
                    labels=labels)))
    return tmp_path


@pytest.mark.parametrize(('test_mode', 'labels'), [(True, [9]),
                                                   (False, [1, 2, 3, 4, 5])])
def test_test_mode_reads_the_test_images(cifar, monkeypatch, test_mode,
                                         labels):
    with DefaultScope.overwrite_default_scope('mmcls'):
        kind = DATASETS.get('mmcls.CIFAR10')
        monkeypatch.setattr(kind, '_check_integrity', lambda self: True)
        dataset = DATASETS.build(
            dict(
                type='CIFAR10',
                data_prefix=str(cifar),
                test_mode=test_mode,
                metainfo=dict(classes=[*'0123456789']),
                pipeline=[]))
    assert [*dataset.get_gt_labels()] == labels
    assert type(pickle.loads(pickle.dumps(dataset))) is kind


@pytest.mark.parametrize(
    'name', ['CIFAR10', 'CIFAR100', 'CUB', 'FashionMNIST', 'MNIST'])
def test_only_the_scope_has_mmcls_arguments(name):
    assert DATASETS.get(name) is not DATASETS.get(f'mmcls.{name}')
    assert issubclass(DATASETS.get(f'mmcls.{name}'), DATASETS.get(name))
