import json
import shutil
from argparse import Namespace

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmcls_repmlp.apis._shared import labels
from mmcls_repmlp.apis._shared.labels import (check_labels, match_classes,
                                              names_of)
from mmcls_repmlp.errors import ConfigError
from mmcls_repmlp.host import build_dataset, gt_labels

TEN = tuple(map(str, range(10)))
PIPELINE = [dict(type='LoadImageFromFile'), dict(type='PackClsInputs')]


@pytest.fixture(autouse=True)
def said(monkeypatch):
    init_default_scope('mmcls')
    lines = []
    monkeypatch.setattr(labels, 'print_log',
                        lambda line, *_: lines.append(line))
    return lines


@pytest.fixture
def nine(data):
    """The digits without 3."""
    shutil.rmtree(data / 'val' / '3')
    return folder(data / 'val')


def folder(root, **options):
    return dict(
        type='CustomDataset',
        data_root=str(root),
        pipeline=PIPELINE,
        **options)


def model(outputs=10):
    made = nn.Module()
    made.head = nn.Module()
    made.head.num_classes = outputs
    return made


def true_names(dataset):
    """The folder of every image, and the name of the label it has got."""
    for i in range(len(dataset)):
        sample = dataset[i]['data_samples']
        yield (sample.img_path.split('/')[-2],
               dataset.metainfo['classes'][int(gt_labels(sample))])


def assert_right(dataset, count):
    found = list(true_names(dataset))
    assert len(found) == count and all(a == b for a, b in found)


def test_the_same_classes(digits, said):
    dataset = build_dataset(folder(digits / 'val'))
    match_classes(dataset, TEN, model())
    assert_right(dataset, 20)
    assert not said


@pytest.mark.parametrize('learnt', [TEN, TEN[::-1], (*TEN, 'x')])
@pytest.mark.parametrize('wrapped', [False, True])
def test_a_folder_is_missing(nine, said, learnt, wrapped):
    dataset = build_dataset(
        dict(type='ConcatDataset', datasets=[nine, nine]) if wrapped else nine)
    match_classes(dataset, learnt, model(len(learnt)))
    assert names_of(dataset) == learnt
    assert_right(dataset, 36 if wrapped else 18)
    assert f'has 9 of the {len(learnt)} classes' in said[0]


@pytest.mark.parametrize(
    'learnt', [TEN[1:], tuple('abcdefghij'), (*TEN, '0'), TEN[:-1]])
def test_classes_that_nobody_learnt(digits, learnt):
    dataset = build_dataset(folder(digits / 'val'))
    with pytest.raises(ConfigError, match='of the 10 classes of the data '):
        match_classes(dataset, learnt, model(len(learnt)))


def test_a_checkpoint_without_names(digits, nine, said):
    match_classes(build_dataset(folder(digits / 'val')), (), model())
    for outputs in (8, 10):
        with pytest.raises(
                ConfigError,
                match='the data has 9 classes and the '
                f'model {outputs} outputs, .* does not name'):
            match_classes(build_dataset(nine), (), model(outputs))
    named = build_dataset({**nine, 'classes': TEN})
    match_classes(named, (), model())
    assert_right(named, 18)
    match_classes(build_dataset(nine), (), model(None))
    assert not said


def listed(tmp_path, *labels, **metainfo):
    (tmp_path / 'a.json').write_text(
        json.dumps(
            dict(
                metainfo=metainfo,
                data_list=[
                    dict(
                        img_path='a.png',
                        **({} if label is None else dict(gt_label=label)))
                    for label in labels
                ])))
    return build_dataset(
        dict(
            type='BaseDataset',
            ann_file=str(tmp_path / 'a.json'),
            data_prefix=''))


def test_lists_name_their_labels_themselves(tmp_path, said):
    match_classes(listed(tmp_path, 0, 9), TEN, model())
    match_classes(listed(tmp_path, 0, [1, 2]), (), model())
    dataset = listed(tmp_path, 0, 1, classes=['7', '3'])
    match_classes(dataset, TEN, model())
    assert dataset.pipeline.transforms[0].labels == (7, 3)
    assert len(said) == 1


@pytest.mark.parametrize(('label', 'message'),
                         [(10, 'has the label 10, but there are 10 classes'),
                          (-1, 'has the label -1'),
                          ('cat', "has the label 'cat'"),
                          (1.5, 'has the label 1.5'),
                          ([1, 10], 'has the label 10'),
                          (None, 'has no label')])
@pytest.mark.parametrize('names', [(), TEN])
def test_labels_without_a_class(tmp_path, label, message, names):
    dataset = listed(tmp_path, 0, label,
                     **(dict(classes=names) if names else {}))
    with pytest.raises(ConfigError, match=rf'sample 1 .*a.png\) {message}'):
        check_labels(dataset, 10)


def test_labels_of_a_model_that_does_not_count(tmp_path):
    check_labels(listed(tmp_path, 99), None)
    assert labels.outputs_of(torch.nn.Linear(1, 1)) is None


def test_names_that_the_host_spells_otherwise_are_said(said):
    """A list of labels, as ImageNet's, counts as the checkpoint does."""

    def listed(names):
        return named(names, folder=False)

    own = tuple(f'name {i}' for i in range(20))
    learnt = (*own[:-1], 'another spelling')
    match_classes(listed(own), learnt, model(20))
    assert 'have other names in the checkpoint (name 19)' in said[0]
    with pytest.raises(ConfigError, match='are not among the 20'):
        match_classes(named(own, folder=True), learnt, model(20))
    for learnt in (tuple('abcdefghijklmnopqrst'), (*own[:-3], *'abc')):
        with pytest.raises(ConfigError, match='are not among the 20'):
            match_classes(listed(own), learnt, model(20))


def named(names, folder):
    made = Namespace(
        metainfo=dict(classes=names),
        _metainfo={},
        pipeline=Namespace(transforms=[]))
    if folder:
        made.folder_to_idx = dict.fromkeys(names)
    return made
