import pytest

from mmcls_repmlp.models import ARCH_ZOO, Arch, resolve_arch

CUSTOM = dict(channels=[8, 16], depths=(1, 2), sharesets_nums=[1, 4])


@pytest.mark.parametrize(('name', 'alias'), [('t', 'tiny'), ('b', 'base'),
                                             ('d', 'deep'), ('l', 'large')])
def test_names_in_any_case(name, alias):
    assert resolve_arch(name) is resolve_arch(alias.upper())
    assert resolve_arch(name) is ARCH_ZOO[name]


def test_lists_and_tuples_are_taken():
    expected = Arch((8, 16), (1, 2), (1, 4), 8)
    assert resolve_arch(CUSTOM) == expected
    assert resolve_arch(expected) == expected


@pytest.mark.parametrize(('wrong', 'message'), [
    ('a', "'a' is not in default archs: choose from t, tiny"),
    ([1, 2], r'needs a dict or a name, got \[1, 2\]'),
    (None, 'needs a dict or a name'),
    (dict(channels=[8], depths=[1]), "check 'sharesets_nums'"),
    ({**CUSTOM, 'width': 1}, "check 'width'"),
    ({**CUSTOM, 'depths': [1]}, 'Length of setting'),
    ({**CUSTOM, 'depths': 2}, r"arch\['depths'\] must hold positive integers"),
    ({**CUSTOM, 'depths': [1, 0]}, r"'depths'.*got \[1, 0\]"),
    ({**CUSTOM, 'channels': [8, 16.]}, "'channels'"),
    ({**CUSTOM, 'globalperceptron_divisor': 0}, 'divisor'),
    ({**CUSTOM, 'sharesets_nums': [1, 3]},
     'stage 1 of arch has 16 channels, which 3 sharesets do not divide'),
    (dict(channels=[], depths=[], sharesets_nums=[]), r'got \[\]'),
])  # yapf: disable
def test_wrong_archs_are_refused_in_words(wrong, message):
    with pytest.raises(ValueError, match=message):
        resolve_arch(wrong)
