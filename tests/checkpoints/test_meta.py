import pytest
import torch

from mmcls_repmlp.checkpoints import class_names, classes_meta, meta_of


@pytest.mark.parametrize('meta', [
    dict(dataset_meta=dict(classes=('a', 'b'))),
    dict(dataset_meta=dict(classes=['a', 'b']), CLASSES=('x', )),
    dict(classes=['a', 'b'], dataset_meta={}),
    dict(CLASSES=('a', 'b'))
])
def test_classes_are_found_wherever_they_stand(meta):
    assert class_names(dict(meta=meta)) == ('a', 'b')


def test_classes_may_be_numbers():
    assert class_names(dict(meta=dict(classes=[1, 0.5]))) == ('1', '0.5')


@pytest.mark.parametrize('checkpoint', [{},
                                        dict(weight=torch.ones(1)),
                                        dict(meta=None),
                                        dict(meta={}),
                                        dict(meta=dict(dataset_meta=None)),
                                        torch.ones(1)])
def test_checkpoints_that_do_not_say(checkpoint):
    assert class_names(checkpoint) == ()
    assert classes_meta(checkpoint) == {}
    assert isinstance(meta_of(checkpoint), dict)


def test_classes_are_written_both_ways():
    meta = dict(dataset_meta=dict(classes=['a'], palette=[1]), epoch=3)
    assert classes_meta(dict(meta=meta)) == dict(
        classes=('a', ), dataset_meta=dict(classes=('a', ), palette=[1]))
    assert meta_of(dict(meta=meta)) == meta
