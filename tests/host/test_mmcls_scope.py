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


def test_names_with_the_scope_find_ours_from_any_registry(caplog):
    with DefaultScope.overwrite_default_scope('mmcls'):
        TRANSFORMS.build(dict(type='PackClsInputs'))
    assert 'mmcls' not in caplog.text  # it is found without a warning
    for registry in (MODELS, ROOT_MODELS):
        assert registry.get('mmcls.RepMLPNet') is RepMLPNet
        assert registry.get('mmpretrain.RepMLPNet') is RepMLPNet
        assert registry.get('mmcls.NoSuchNet') is None


def test_the_other_names_of_the_host_are_found_too():
    registry = import_module('mmcls.registry')
    assert registry.MODELS.get('ResNet') is MODELS.get('ResNet')
    assert registry.MODELS.get('mmengine.BaseModel') is None
    assert registry.HOOKS.get('mmengine.IterTimerHook') is IterTimerHook


def test_there_is_still_no_mmcls():
    with pytest.raises(ModuleNotFoundError, match="'mmcls'"):
        import_module('mmcls')


def test_test_mode_reads_the_test_images(tmp_path, monkeypatch):
    folder = tmp_path / 'cifar-10-batches-py'
    folder.mkdir()
    names = [*(f'data_batch_{i}' for i in range(1, 6)), 'test_batch']
    for label, name in enumerate(names):
        batch = dict(data=np.zeros((1, 3072), np.uint8), labels=[label])
        (folder / name).write_bytes(pickle.dumps(batch))
    kind = DATASETS.get('mmcls.CIFAR10')
    monkeypatch.setattr(kind, '_check_integrity', lambda self: True)
    cfg = dict(
        type='CIFAR10',
        data_prefix=str(tmp_path),
        metainfo=dict(classes=[*'0123456789']),
        pipeline=[])
    for test_mode, labels in ((True, [5]), (False, [0, 1, 2, 3, 4])):
        with DefaultScope.overwrite_default_scope('mmcls'):
            dataset = DATASETS.build(dict(cfg, test_mode=test_mode))
        assert [*dataset.get_gt_labels()] == labels
        assert type(pickle.loads(pickle.dumps(dataset))) is kind


def test_only_the_scope_has_mmcls_arguments():
    for name in ('CIFAR10', 'CIFAR100', 'CUB', 'FashionMNIST', 'MNIST'):
        assert DATASETS.get(name) is not DATASETS.get(f'mmcls.{name}')
        assert issubclass(DATASETS.get(f'mmcls.{name}'), DATASETS.get(name))
