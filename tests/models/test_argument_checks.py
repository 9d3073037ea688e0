import pytest

from mmcls_repmlp.models.argument_checks import (check_divisor,
                                                 check_drop_path_rate,
                                                 check_kernels, check_pair,
                                                 check_per_stage,
                                                 check_positive_int,
                                                 check_positive_ints,
                                                 check_stages)


@pytest.mark.parametrize(('check', 'arguments', 'result'), [
    (check_positive_int, ('x', 4), 4),
    (check_positive_ints, ('x', [4, 6]), (4, 6)),
    (check_pair, ('x', 4), (4, 4)),
    (check_pair, ('x', [4, 6]), (4, 6)),
    (check_per_stage, ('x', 4, 2), (4, 4)),
    (check_per_stage, ('x', [4, 6], 2), (4, 6)),
    (check_kernels, (None, ), ()),
    (check_kernels, ([3, 1], ), (3, 1)),
    (check_stages, ('x', -1, 4), (3, )),
    (check_stages, ('x', [3, -4], 4), (0, 3)),
    (check_divisor, ('x', 4, 4, 8), 4),
    (check_drop_path_rate, (0.5, ), 0.5),
])
def test_right_arguments_are_returned_in_one_form(check, arguments, result):
    assert check(*arguments) == result


@pytest.mark.parametrize(('check', 'arguments', 'message'), [
    (check_positive_int, ('depth', 0), 'depth .* got 0'),
    (check_positive_int, ('depth', 2.), 'got 2.0'),
    (check_positive_ints, ('depths', [1, 0]), r'depths .* got \[1, 0\]'),
    (check_positive_ints, ('depths', 2), 'depths .* got 2'),
    (check_positive_ints, ('depths', []), r'depths .* got \[\]'),
    (check_pair, ('img_size', 0), 'img_size .* got 0'),
    (check_pair, ('img_size', (1, 2, 3)), r'got \(1, 2, 3\)'),
    (check_pair, ('img_size', 2.5), 'got 2.5'),
    (check_pair, ('img_size', '22'), "got '22'"),
    (check_per_stage, ('groups', (1, 2), 3), 'groups .* 3 of them'),
    (check_per_stage, ('groups', 0, 2), 'groups .* got 0'),
    (check_per_stage, ('groups', '12', 2), "got '12'"),
    (check_kernels, ((2, ), ), r'odd positive .* got \(2,\)'),
    (check_kernels, ((3, 3), ), 'different'),
    (check_kernels, ((-1, ), ), 'positive'),
    (check_kernels, (3, ), 'got 3'),
    (check_stages, ('x', (), 4), r'x must .* got \(\)'),
    (check_stages, ('x', (4, ), 4), 'between -4 and 3'),
    (check_stages, ('x', -5, 4), 'between -4 and 3'),
    (check_stages, ('x', (3, -1), 4), 'different stages'),
    (check_divisor, ('groups', 4, 4, 6), 'groups .* 4 and 6 .* got 4'),
    (check_divisor, ('groups', -1, 4), 'groups .* got -1'),
    (check_drop_path_rate, (1., ), 'drop_path_rate'),
    (check_drop_path_rate, (-.1, ), 'drop_path_rate'),
])
def test_wrong_arguments_are_named(check, arguments, message):
    with pytest.raises(ValueError, match=message):
        check(*arguments)
