import pytest

from mmcls_repmlp.models import argument_checks as checks


@pytest.mark.parametrize(('check', 'arguments', 'result'), [
    (checks.check_positive_int, ('x', 4), 4),
    (checks.check_positive_ints, ('x', [4, 6]), (4, 6)),
    (checks.check_pair, ('x', 4), (4, 4)),
    (checks.check_per_stage, ('x', [4, 6], 2), (4, 6)),
    (checks.check_kernels, (None, ), ()),
    (checks.check_kernels, ([3, 1], ), (3, 1)),
    (checks.check_stages, ('x', -1, 4), (3, )),
    (checks.check_stages, ('x', [3, -4], 4), (0, 3)),
    (checks.check_divisor, ('x', 4, 4, 8), 4),
    (checks.check_drop_path_rate, (0.5, ), 0.5),
])
def test_right_arguments_are_returned_in_one_form(check, arguments, result):
    assert check(*arguments) == result


@pytest.mark.parametrize(('check', 'arguments', 'message'), [
    (checks.check_positive_int, ('depth', 0), 'depth .* got 0'),
    (checks.check_positive_ints, ('depths', [1, 2.]), r'got \[1, 2.0\]'),
    (checks.check_positive_ints, ('depths', 2), 'depths .* got 2'),
    (checks.check_positive_ints, ('depths', []), r'depths .* got \[\]'),
    (checks.check_pair, ('img_size', (1, 2, 3)), r'2 of them, got \(1, 2, 3'),
    (checks.check_pair, ('img_size', 2.5), 'got 2.5'),
    (checks.check_per_stage, ('groups', 0, 3), 'groups .* 3 of them, got 0'),
    (checks.check_per_stage, ('groups', '12', 2), "got '12'"),
    (checks.check_kernels, ((2, ), ), r'odd positive .* got \(2,\)'),
    (checks.check_kernels, ((3, 3), ), 'different'),
    (checks.check_kernels, (3, ), 'got 3'),
    (checks.check_stages, ('x', (), 4), r'x must .* got \(\)'),
    (checks.check_stages, ('x', (4, ), 4), 'between -4 and 3'),
    (checks.check_stages, ('x', (3, -1), 4), 'different stages'),
    (checks.check_divisor, ('groups', 4, 4, 6), 'groups .* 4 and 6 .* got 4'),
    (checks.check_divisor, ('groups', -1, 4), 'groups .* got -1'),
    (checks.check_drop_path_rate, (1., ), 'drop_path_rate'),
])
def test_wrong_arguments_are_named(check, arguments, message):
    with pytest.raises(ValueError, match=message):
        check(*arguments)
