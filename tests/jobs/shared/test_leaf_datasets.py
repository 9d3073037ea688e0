from types import SimpleNamespace as Namespace

import pytest

from mmcls_repmlp.jobs.shared.leaf_datasets import check_samples, leaf_datasets
from repmlp_lite.errors import ConfigError


def test_the_parts_of_a_data_set():
    one, two = ['a'], ['b']
    both = Namespace(datasets=[one, Namespace(dataset=two)])
    assert [*leaf_datasets(one)] == [one]
    assert [*leaf_datasets(both)] == [one, two]


def test_no_sample():
    check_samples([1], 'the data')
    with pytest.raises(ConfigError, match='the data is empty: add samples'):
        check_samples([], 'the data')
