import json
import shutil
from types import SimpleNamespace as Namespace

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope

from mmcls_repmlp.host import build_dataset, gt_labels
from mmcls_repmlp.jobs.shared import labels
from mmcls_repmlp.jobs.shared.data import describe_data
from mmcls_repmlp.jobs.shared.labels import (MapLabels,
                                             check_checkpoint_classes,
                                             check_classes, check_labels,
                                             match_classes, names_of,
                                             warn_of_absent)
from mmcls_repmlp.jobs.train.train import train
from mmcls_repmlp.recipe import PairVerification
from repmlp_lite.errors import ConfigError
from tests.helpers import quick_loaders

TEN = tuple(map(str, range(10)))
PIPELINE = [dict(type='LoadImageFromFile'), dict(type='PackClsInputs')]


@pytest.fixture(autouse=True)
def warned(monkeypatch):
    init_default_scope('mmcls')
    lines = []
    monkeypatch.setattr(labels, 'warn', lines.append)
    return lines


@pytest.fixture
def nine(data):
    """The digits without 3."""
    shutil.rmtree(data / 'val' / '3')
    return folder(data / 'val')


def folder(root):
    return dict(type='ImageFolder', data_root=str(root), pipeline=PIPELINE)


def model(outputs=10):
    return Namespace(head=Namespace(num_classes=outputs))


def assert_right(dataset, count):
    """The label of every image has the name of its folder."""
    assert len(dataset) == count
    for i in range(count):
        sample = dataset[i]['data_samples']
        name = dataset.metainfo['classes'][int(gt_labels(sample))]
        assert name == sample.img_path.split('/')[-2]


@pytest.mark.parametrize('names', [TEN, ()])
def test_the_same_classes(digits, warned, names):
    dataset = build_dataset(folder(digits / 'val'))
    match_classes(dataset, names, model())
    assert_right(dataset, 20)
    assert not warned


@pytest.mark.parametrize(('names', 'wrapped'), [(TEN, False),
                                                (TEN[::-1], True),
                                                ((*TEN, 'x'), True)])
def test_a_folder_is_missing(nine, warned, names, wrapped):
    dataset = build_dataset(
        dict(type='ConcatDataset', datasets=[nine, nine]) if wrapped else nine)
    match_classes(dataset, names, model(len(names)))
    assert names_of(dataset) == names
    assert_right(dataset, 36 if wrapped else 18)
    assert f'has 9 of the {len(names)} classes' in warned[0]


def test_samples_may_have_several_labels_or_none():
    steps = MapLabels([2, 0])
    assert steps(dict(gt_label=[1, 0])) == dict(gt_label=[0, 2])
    assert steps(dict(a=1)) == dict(a=1)


@pytest.mark.parametrize('names', [TEN[1:], (*TEN, '0')])
def test_classes_that_the_model_lacks(digits, names):
    dataset = build_dataset(folder(digits / 'val'))
    with pytest.raises(ConfigError, match='of the 10 classes of the data '):
        match_classes(dataset, names, model(len(names)))


def test_a_checkpoint_without_names(nine, warned):
    for outputs in (8, 10):
        words = f'9 classes and the model {outputs} outputs, .* does not name'
        with pytest.raises(ConfigError, match=words):
            match_classes(build_dataset(nine), (), model(outputs))
    named = build_dataset({**nine, 'classes': TEN})
    match_classes(named, (), model())
    assert_right(named, 18)
    match_classes(build_dataset(nine), (), torch.nn.Linear(1, 1))
    assert not warned


def listed(tmp_path, *labels, **metainfo):
    samples = [dict(img_path='a.png', gt_label=label) for label in labels]
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(dict(metainfo=metainfo, data_list=samples)))
    return build_dataset(
        dict(type='BaseDataset', ann_file=str(path), data_prefix=''))


def test_lists_name_their_labels_themselves(tmp_path, warned):
    match_classes(listed(tmp_path, 0, 9), TEN, model())
    match_classes(listed(tmp_path, 0, [1, 2]), (), model())
    dataset = listed(tmp_path, 0, 1, classes=['7', '3'])
    match_classes(dataset, TEN, model())
    assert dataset.pipeline.transforms[0].labels == (7, 3)
    assert len(warned) == 1


@pytest.mark.parametrize(('label', 'message'), [
    (10, 'has the label 10, but there are 10 classes'),
    (-1, 'has the label -1'),
    ('cat', "has the label 'cat'"),
    (1.5, 'has the label 1.5'),
    ([1, 10], 'has the label 10'),
    (None, 'has no label'),
])
@pytest.mark.parametrize('metainfo', [{}, dict(classes=TEN)])
def test_labels_without_a_class(tmp_path, label, message, metainfo):
    dataset = listed(tmp_path, 0, label, **metainfo)
    with pytest.raises(ConfigError, match=rf'sample 1 .*a.png\) {message}'):
        check_labels(dataset, 10)


def test_names_that_the_host_spells_otherwise_are_warned(warned):
    """A list of labels, as ImageNet's, counts as the checkpoint does."""
    own = tuple(f'name {i}' for i in range(20))
    alike, unlike = (*own[:-1], 'another spelling'), (*own[:-3], *'abc')
    match_classes(named(own), alike, model(20))
    assert 'have other names in the checkpoint (name 19)' in warned[0]
    by_folder = named(own, folder_to_idx=dict.fromkeys(own))
    for dataset, names in ((named(own), unlike), (by_folder, alike),
                           (named(own), (*alike, 'x'))):
        with pytest.raises(ConfigError, match='are not among the 2'):
            match_classes(dataset, names, model(20))


def named(names, **more):
    return Namespace(
        metainfo=dict(classes=names),
        _metainfo={},
        pipeline=Namespace(transforms=[]),
        **more)


def runner(train, val=None, head=3, metric=None):
    loops = [
        Namespace(
            dataloader=Namespace(dataset=named(names)),
            evaluator=Namespace(metrics=[metric])) for names in (train, val)
    ]
    return Namespace(
        cfg=ConfigDict(train_dataloader={}, val_dataloader=val and {}),
        model=model(head),
        train_loop=loops[0],
        val_loop=loops[1])


@pytest.mark.parametrize('ok', [
    runner(tuple('abc'), [*'abc']),
    runner('abc'),
    runner(None, 'xy'),
    runner('abcd', head=None),
    runner('abc', 'xy', metric=PairVerification())
])
def test_classes_that_agree_as_far_as_they_are_known(warned, ok):
    check_classes(ok)
    for names, checkpoint in (('abc', [*'abc']), ('abc', ()), (None, 'xyz')):
        check_checkpoint_classes(runner(names), checkpoint, resumes=True)
    assert not warned


def test_a_head_may_have_more_classes_with_a_warning_but_not_fewer(warned):
    check_classes(runner('ab', 'ab'))
    assert 'model.head.num_classes to 2' in warned[-1]
    words = 'has 4 classes and the head 3: set model.head.num_classes to 4'
    with pytest.raises(ConfigError, match=words):
        check_classes(runner('abcd', 'abcd'))


@pytest.mark.parametrize(('others', 'odd'), [('ac', 'b'), ('abd', 'c, d'),
                                             ('bac', 'their order')])
def test_labels_must_mean_the_same(warned, others, odd):
    words = rf'not the same \({odd}\)'
    with pytest.raises(ConfigError, match=words):
        check_classes(runner('abc', others))
    with pytest.raises(ConfigError, match=f'{words}: resume with'):
        check_checkpoint_classes(runner('abc'), others, resumes=True)
    check_checkpoint_classes(runner('abc'), others, resumes=False)
    assert f'({odd}): the head starts' in warned[-1]


def test_training_checks_its_data_and_its_checkpoint(project, data, tmp_path,
                                                     work_dir):
    shutil.rmtree(data / 'val' / '3')
    checkpoint = torch.load(project.trained, weights_only=True)
    checkpoint['meta']['dataset_meta'] = dict(classes=tuple('abcdefghij'))
    torch.save(checkpoint, tmp_path / 'a.pth')
    for words, options in ((r'10 classes, .* 9, .* \(3\)',
                            dict(cfg_options=quick_loaders(data))),
                           ('10 classes .* resume with the',
                            dict(resume=f'{tmp_path}/a.pth'))):
        with pytest.raises(ConfigError, match=words):
            train(project.config, work_dir, **options)


@pytest.mark.parametrize(('fold', 'absent'), [(0, 'b, c'), (1, 'a, c')])
def test_classes_without_images_to_validate_are_named(tmp_path, warned, fold,
                                                      absent):
    for name in 'abc':
        (tmp_path / name).mkdir()
        for i in range(2):
            (tmp_path / name / f'{i}.png').touch()
    folds = dict(
        type='KFoldDataset', fold=fold, num_splits=3, dataset=folder(tmp_path))
    train = build_dataset(folds)
    val = build_dataset(dict(folds, test_mode=True))
    assert describe_data(val) == f'2 of 6 images, in {tmp_path}'
    warn_of_absent(build_dataset(folder(tmp_path)), 'val', train)
    assert not warned
    warn_of_absent(val, 'val', build_dataset(folder(tmp_path)))
    assert f'no image of 2 of 3 classes ({absent})' in warned[0]
