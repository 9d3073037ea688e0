from mmengine.config import ConfigDict

from mmcls_repmlp.apis._shared.settings import pairs


def test_every_key_and_every_value_of_a_list_at_any_depth():
    settings = ConfigDict(a=1, b=[dict(c='d'), (2, [3])], e=dict(f={}))
    assert [*pairs(settings)] == [
        ('a', 1),
        ('b', [dict(c='d'), (2, [3])]),
        (None, dict(c='d')),
        ('c', 'd'),
        (None, (2, [3])),
        (None, 2),
        (None, [3]),
        (None, 3),
        ('e', dict(f={})),
        ('f', {}),
    ]


def test_what_holds_no_settings_has_none():
    assert [*pairs('a.pkl')] == [*pairs(None)] == [*pairs(3)] == []
