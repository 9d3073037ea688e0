import shutil
from types import SimpleNamespace as Namespace

import pytest
import torch
from mmengine.config import ConfigDict

from mmcls_repmlp.jobs.train.classes import (check_checkpoint_classes,
                                             check_classes)
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


@pytest.mark.parametrize('ok', [
    runner(tuple('abc'), [*'abc']),
    runner('abc'),
    runner(None, 'xy'),
    runner('abcd', head=None),
    runner('abc', 'xy', metric=PairVerification())
])
def test_classes_that_agree_as_far_as_they_are_known(capsys, ok):
    check_classes(ok)
    assert not capsys.readouterr().err


def test_a_head_may_have_more_classes_with_a_warning_but_not_fewer(capsys):
    check_classes(runner('ab', 'ab'))
    assert 'model.head.num_classes to 2' in capsys.readouterr().err
    words = 'has 4 classes and the head 3: set model.head.num_classes to 4'
    with pytest.raises(ConfigError, match=words):
        check_classes(runner('abcd', 'abcd'))


@pytest.mark.parametrize(('others', 'odd'), [('ac', 'b'), ('abd', 'c, d'),
                                             ('bac', 'their order')])
def test_labels_must_mean_the_same(capsys, others, odd):
    words = rf'not the same \({odd}\)'
    with pytest.raises(ConfigError, match=words):
        check_classes(runner('abc', others))
    with pytest.raises(ConfigError, match=f'{words}: resume with'):
        check_checkpoint_classes(runner('abc'), others, resumes=True)
    check_checkpoint_classes(runner('abc'), others, resumes=False)
    assert f'({odd}): the head starts' in capsys.readouterr().err


def test_a_run_is_resumed_with_its_classes(capsys):
    check_checkpoint_classes(runner('abc'), [*'abc'], resumes=True)
    check_checkpoint_classes(runner('abc'), (), resumes=True)
    check_checkpoint_classes(runner(None), 'xyz', resumes=True)
    assert not capsys.readouterr().err


def test_training_checks_its_data_and_its_checkpoint(project, data, tmp_path,
                                                     work_dir):
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
