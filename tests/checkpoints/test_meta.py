import pytest
import torch

from mmcls_repmlp.checkpoints import (class_names, classes_meta,
                                      converted_meta, meta_of)
from mmcls_repmlp.version import __version__


@pytest.mark.parametrize('meta', [
    dict(dataset_meta=dict(classes=('1', '0.5'))),
    dict(dataset_meta=dict(classes=['1', '0.5']), CLASSES=('x', )),
    dict(classes=[1, 0.5], dataset_meta={}),
    dict(CLASSES=('1', '0.5'))
])
def test_classes_are_found_wherever_they_stand(meta):
    assert class_names(dict(meta=meta)) == ('1', '0.5')


@pytest.mark.parametrize('checkpoint', [
    torch.ones(1), {},
    dict(weight=torch.ones(1)),
    *(dict(meta=meta)
      for meta in (None, {}, dict(dataset_meta=None), dict(classes='ab'),
                   dict(classes=[None]), dict(classes=torch.ones(2)),
                   dict(dataset_meta=dict(classes=torch.ones(2)))))
])
def test_checkpoints_that_do_not_say(checkpoint):
    assert class_names(checkpoint) == ()
    assert classes_meta(checkpoint) == {}
    assert isinstance(meta_of(checkpoint), dict)


def test_classes_are_written_both_ways():
    meta = dict(dataset_meta=dict(classes=['a'], palette=[1]), epoch=3)
    assert classes_meta(dict(meta=meta)) == dict(
        classes=('a', ), dataset_meta=dict(classes=('a', ), palette=[1]))
    assert meta_of(dict(meta=meta)) == meta


def test_arrays_and_odd_objects_become_lists_and_texts():
    odd = {'classes': ['a'], 'x': 2., 'y': torch.ones(1), 'z': b'1'}
    found = classes_meta(dict(meta=dict(dataset_meta=odd)))['dataset_meta']
    assert found == dict(classes=('a', ), x=2.0, y=[1.0], z="b'1'")


def test_what_is_made_of_a_checkpoint_says_how_and_keeps_the_classes():
    checkpoint = dict(meta=dict(epoch=3, classes=['a', 'b']))
    assert converted_meta(checkpoint) == dict(
        mmcls_repmlp_version=__version__, **classes_meta(checkpoint))
