from mmengine.config import ConfigDict

from mmcls_repmlp.jobs.shared.settings import iter_items


def test_every_key_and_every_value_of_a_list_at_any_depth():
    a, b, c = dict(c='d'), (2, [3]), dict(f={})
    assert [*iter_items(ConfigDict(a=1, b=[a, b], e=c))] == [('a', 1),
                                                             ('b', [a, b]),
                                                             (None, a),
                                                             ('c', 'd'),
                                                             (None, b),
                                                             (None, 2),
                                                             (None, [3]),
                                                             (None, 3),
                                                             ('e', c),
                                                             ('f', {})]


def test_what_holds_no_settings_has_none():
    assert [*iter_items('a.pkl')] == [*iter_items(None)] == [*iter_items(3)
                                                             ] == []
