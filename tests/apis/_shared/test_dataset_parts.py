import pickle
from pathlib import Path
from types import SimpleNamespace as Namespace

import mmengine
import pytest

from mmcls_repmlp.apis._shared.dataset_parts import (check_annotation_files,
                                                     check_samples, described,
                                                     parts)
from mmcls_repmlp.errors import ConfigError


class Part(list):
    ann_file = 'a.txt'


def test_the_parts_of_a_data_set():
    one, two = Part(), Part()
    assert list(parts(one)) == [one]
    both = Namespace(datasets=[one, Namespace(dataset=two)])
    assert [part is one or part is two for part in parts(both)] == [True] * 2


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


def test_names_that_are_all_kind_would_run(tmp_path, monkeypatch):
    # Why they are refused: what mmengine takes for the kind of a file.
    monkeypatch.chdir(tmp_path)
    for name, content, loaded in (('pkl', pickle.dumps(set()), set()),
                                  ('.yaml', b'!!python/tuple []', ())):
        Path(name).write_bytes(content)
        assert mmengine.load(name) == loaded


def test_others():
    for name in ('a.json', 'a.txt', '', 'b/pkl', 'a.pkl.json'):
        check_annotation_files(dict(ann_file=name, pipeline=[dict(a='.pkl')]))


def test_where_annotations_are():
    said = described(dict(ann_file='a.txt'))
    assert said == ", whose annotations are in 'a.txt',"
    assert not described(dict(ann_file=''))
