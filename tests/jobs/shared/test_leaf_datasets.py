from types import SimpleNamespace as Namespace

import pytest

from mmcls_repmlp.jobs.shared.leaf_datasets import (check_annotation_files,
                                                    check_samples,
                                                    describe_annotations,
                                                    leaf_datasets)
from repmlp_lite.errors import ConfigError


class Part(list):
    ann_file = 'a.txt'


def test_the_parts_of_a_data_set():
    one, two = Part('a'), Part('b')
    both = Namespace(datasets=[one, Namespace(dataset=two)])
    assert [*leaf_datasets(one)] == [one] and [*leaf_datasets(both)
                                               ] == [one, two]


def test_no_sample():
    check_samples(Part([1]), 'the data')
    with pytest.raises(ConfigError, match=r"the data is empty .*'a.txt'"):
        check_samples(Part(), 'the data')


@pytest.mark.parametrize(
    'name',
    ['a.pkl', 'a.PICKLE', 'b/a.yaml', 'a.yml', 'b/.pkl', '.yaml', 'pkl'])
@pytest.mark.parametrize('key', ['ann_file', 'question_file'])
def test_annotations_that_could_run_code(key, name):
    inner = dict(type='BaseDataset', **{key: name})
    for dataset in (inner, dict(dataset=inner), dict(datasets=[{}, inner])):
        with pytest.raises(ConfigError, match=f"{key} '{name}' is not read"):
            check_annotation_files(dataset)


def test_others():
    for name in ('a.json', 'a.txt', '', 'b/pkl', 'a.pkl.json'):
        check_annotation_files(dict(ann_file=name, pipeline=[dict(a='.pkl')]))


def test_where_annotations_are():
    said = describe_annotations(dict(ann_file='a.txt'))
    assert said == ", whose annotations are in 'a.txt',"
    assert not describe_annotations(dict(ann_file=''))
