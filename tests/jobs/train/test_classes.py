import shutil
from types import SimpleNamespace as Namespace

import pytest
import torch
from mmengine.config import ConfigDict

from mmcls_repmlp.jobs.train import classes as module_under_test
from mmcls_repmlp.jobs.train.classes import check_classes, check_start_classes
from mmcls_repmlp.jobs.train.train import train
from mmcls_repmlp.recipe import PairVerification
from repmlp_lite.errors import ConfigError
from tests.helpers import quick_loaders


def loop(names, metric=None):
    dataset = Namespace(metainfo={} if names is None else dict(classes=names))
    return Namespace(
        dataloader=Namespace(dataset=dataset),
        evaluator=Namespace(metrics=[metric]))


def runner(train, val=None, head=3, metric=None):
    return Namespace(
        cfg=ConfigDict(train_dataloader={}, val_dataloader=val and {}),
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
    runner(tuple('abc'), [*'abc']),
    runner('abc'),
    runner(None, 'xy'),
    runner('abcd', head=None),
    runner('abc', 'xy', metric=PairVerification())
])
def test_what_agrees_as_far_as_is_told(warned, ok):
    check_classes(ok)
    assert not warned


def test_the_head_may_have_more_classes_which_is_said_but_not_fewer(warned):
    check_classes(runner('ab', 'ab'))
    assert 'model.head.num_classes to 2' in warned[0]
    words = 'has 4 classes and the head 3: set model.head.num_classes to 4'
    with pytest.raises(ConfigError, match=words):
        check_classes(runner('abcd', 'abcd'))


@pytest.mark.parametrize(('val', 'odd'), [('ac', 'b'), ('abd', 'c, d'),
                                          ('bac', 'their order')])
def test_labels_must_mean_the_same(val, odd):
    with pytest.raises(ConfigError, match=rf'not the same \({odd}\)'):
        check_classes(runner('abc', val))


def test_a_training_goes_on_with_its_classes(warned):
    check_start_classes(runner('abc'), [*'abc'], resumes=True)
    check_start_classes(runner('abc'), (), resumes=True)
    check_start_classes(runner(None), 'xyz', resumes=True)
    assert not warned


@pytest.mark.parametrize(('learnt', 'odd'), [('acb', 'their order'),
                                             ('ab', 'c'), ('abd', 'c, d')])
def test_other_classes_are_not_resumed_with(warned, learnt, odd):
    with pytest.raises(ConfigError, match=rf'not the same \({odd}\): resume'):
        check_start_classes(runner('abc'), learnt, resumes=True)
    assert not warned
    check_start_classes(runner('abc'), learnt, resumes=False)
    assert f'({odd}): the head starts' in warned[0]


def test_training_looks_at_its_data_and_at_what_it_resumes(
        project, data, tmp_path, work_dir):
    shutil.rmtree(data / 'val' / '3')
    checkpoint = torch.load(project.trained, weights_only=True)
    checkpoint['meta']['dataset_meta'] = dict(classes=tuple('abcdefghij'))
    torch.save(checkpoint, tmp_path / 'a.pth')
    for words, options in ((r'10 classes, .* 9, .* \(3\)',
                            dict(cfg_options=quick_loaders(data))),
                           ('the head 8: set model.head.num',
                            dict(cfg_options={'model.head.num_classes': 8})),
                           ('10 classes .* resume with the',
                            dict(resume=f'{tmp_path}/a.pth'))):
        with pytest.raises(ConfigError, match=words):
            train(project.config, work_dir, **options)
