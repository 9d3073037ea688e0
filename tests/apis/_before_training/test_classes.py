from types import SimpleNamespace as Namespace

import pytest
import torch
from mmengine.config import ConfigDict

from mmcls_repmlp.apis._before_training import classes as module_under_test
from mmcls_repmlp.apis._before_training.classes import (check_classes,
                                                        check_start_classes)
from mmcls_repmlp.apis.train import train
from mmcls_repmlp.checkpoints import class_names
from mmcls_repmlp.errors import ConfigError
from mmcls_repmlp.training import PairVerification


def loop(names, metric=None):
    return Namespace(
        dataloader=Namespace(
            dataset=Namespace(metainfo={} if names is None else dict(
                classes=names))),
        evaluator=Namespace(metrics=[metric]))


def runner(train, val=None, head=3, metric=None):
    return Namespace(
        cfg=ConfigDict(
            train_dataloader={}, val_dataloader=None if val is None else {}),
        model=Namespace(head=head and Namespace(num_classes=head)),
        train_loop=loop(train),
        val_loop=loop(val, metric))


@pytest.fixture
def warned(monkeypatch):
    lines = []
    monkeypatch.setattr(module_under_test, 'print_log',
                        lambda line, **_: lines.append(line))
    return lines


@pytest.mark.parametrize('ok', [
    runner('abc', 'abc'),
    runner(('a', 'b', 'c'), ['a', 'b', 'c']),
    runner('abc'),
    runner(None, 'xy'),
    runner('abcd', head=None),
    runner('abc', 'xy', metric=PairVerification())
])
def test_what_agrees_as_far_as_is_told(warned, ok):
    check_classes(ok)
    assert not warned


def test_more_classes_than_the_head_has():
    with pytest.raises(
            ConfigError,
            match='has 4 classes and the head 3: set '
            'model.head.num_classes to 4'):
        check_classes(runner('abcd', 'abcd'))


def test_fewer_are_allowed_but_said(warned):
    check_classes(runner('ab', 'ab'))
    assert 'model.head.num_classes to 2' in warned[0]


@pytest.mark.parametrize(('val', 'odd'), [('ac', 'b'), ('abd', 'c, d'),
                                          ('bac', 'their order')])
def test_labels_must_mean_the_same(val, odd):
    with pytest.raises(ConfigError, match=rf'not the same \({odd}\)'):
        check_classes(runner('abc', val))


def test_training_checks_its_data_sets(project, tmp_path):
    data = tmp_path / 'data'
    for name in ('train', 'val'):
        (data / name).mkdir(parents=True)
        for label in range(10):
            if name == 'train' or label != 3:
                (data / name / str(label)).symlink_to(project.data / name /
                                                      str(label))
    options = {
        f'{name}_dataloader.dataset.data_root': str(data)
        for name in ('train', 'val')
    }
    with pytest.raises(ConfigError, match=r'10 classes, .* 9, .* \(3\)'):
        train(project.config, str(tmp_path / 'work'), cfg_options=options)
    with pytest.raises(ConfigError, match='the head 8: set model.head.num'):
        train(
            project.config,
            str(tmp_path / 'work'),
            cfg_options={'model.head.num_classes': 8})


def resumed(meta, resume=True, names='abc'):
    made = Namespace(
        cfg=ConfigDict(train_dataloader={}), train_loop=loop(names))
    check_start_classes(made, class_names(dict(meta=meta)), resume)


def test_a_training_goes_on_with_its_classes(warned):
    resumed(dict(dataset_meta=dict(classes=['a', 'b', 'c'])))
    resumed({})
    resumed(dict(classes='xyz'), names=None)
    assert not warned


@pytest.mark.parametrize(('learnt', 'odd'), [('acb', 'their order'),
                                             ('ab', 'c'), ('abd', 'c, d')])
def test_other_classes_are_not_resumed_with(warned, learnt, odd):
    with pytest.raises(ConfigError, match=rf'not the same \({odd}\): resume'):
        resumed(dict(classes=tuple(learnt)))
    assert not warned
    resumed(dict(classes=tuple(learnt)), resume=False)
    assert f'({odd}): the head starts' in warned[0]


def test_training_looks_at_what_it_resumes(project, tmp_path):
    checkpoint = torch.load(project.trained, weights_only=True)
    checkpoint['meta']['dataset_meta'] = dict(classes=tuple('abcdefghij'))
    torch.save(checkpoint, tmp_path / 'a.pth')
    with pytest.raises(ConfigError, match='10 classes .* resume with the'):
        train(
            project.config,
            str(tmp_path / 'work'),
            resume=str(tmp_path / 'a.pth'))
