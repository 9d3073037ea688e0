import pytest

from mmcls_repmlp.models import argument_checks as args


@pytest.mark.parametrize(('call', 'taken'), [
    (lambda: args.int_pair('x', 4), (4, 4)),
    (lambda: args.int_pair('x', [4, 6]), (4, 6)),
    (lambda: args.positive_int('x', 4), 4),
    (lambda: args.positive_ints('x', [4, 6]), (4, 6)),
    (lambda: args.per_stage('x', 4, 2), (4, 4)),
    (lambda: args.per_stage('x', [4, 6], 2), (4, 6)),
    (lambda: args.check_grouped_block(4, 8, 4, 1), None),
    (lambda: args.conv_kernels(None), ()),
    (lambda: args.conv_kernels([3, 1]), (3, 1)),
    (lambda: args.stage_indices(-1, 4), (3, )),
    (lambda: args.stage_indices([3, -4], 4), (0, 3)),
    (lambda: args.output_stages(None, 5, 3), (3, )),
    (lambda: args.output_stages(None, 4, 3), (3, )),
    (lambda: args.output_stages(None, 2, 3), (1, )),
    (lambda: args.output_stages((-1, 0), 4, 2), (0, 3)),
])  # yapf: disable
def test_right_arguments_are_brought_into_one_form(call, taken):
    assert call() == taken


@pytest.mark.parametrize(('call', 'message'), [
    (lambda: args.int_pair('img_size', 0), 'img_size .* got 0'),
    (lambda: args.int_pair('img_size', (1, 2, 3)), r'got \(1, 2, 3\)'),
    (lambda: args.int_pair('img_size', 2.5), 'got 2.5'),
    (lambda: args.int_pair('img_size', '22'), "got '22'"),
    (lambda: args.positive_int('depth', 0), 'depth .* got 0'),
    (lambda: args.positive_int('depth', 2.), 'got 2.0'),
    (lambda: args.positive_ints('depths', [1, 0]), r'depths .* got \[1, 0\]'),
    (lambda: args.positive_ints('depths', 2), 'depths .* got 2'),
    (lambda: args.per_stage('groups', (1, 2), 3), r'groups .* 3 of them'),
    (lambda: args.per_stage('groups', 0, 2), 'groups .* got 0'),
    (lambda: args.per_stage('groups', '12', 2), "got '12'"),
    (lambda: args.stage_indices(4, 4, 'repmlp_stages'), 'repmlp_stages must'),
    (lambda: args.check_grouped_block(4, 6, 4, 1), '4 groups .* 4 .* 6'),
    (lambda: args.check_grouped_block(4, 4, -1, 1), '-1 groups'),
    (lambda: args.check_grouped_block(4, 4, 2, 0), 'ratio .* got 0'),
    (lambda: args.conv_kernels((2, )), r'odd positive .* got \(2,\)'),
    (lambda: args.conv_kernels((3, 3)), 'different'),
    (lambda: args.conv_kernels((-1, )), 'positive'),
    (lambda: args.conv_kernels(3), 'got 3'),
    (lambda: args.stage_indices((), 4), r'got \(\)'),
    (lambda: args.stage_indices((4, ), 4), 'between -4 and 3'),
    (lambda: args.stage_indices((-5, ), 4), 'between -4 and 3'),
    (lambda: args.stage_indices((3, -1), 4), 'different stages'),
    (lambda: args.last_frozen_stage(4, 4), 'frozen_stages'),
    (lambda: args.last_frozen_stage(-2, 4), 'frozen_stages'),
    (lambda: args.drop_rate(1.), 'drop_path_rate'),
    (lambda: args.drop_rate(-.1), 'drop_path_rate'),
    (lambda: args.check_block_sizes(6, 2, 2, 4), '4 sharesets do not divide'),
    (lambda: args.check_block_sizes(6, 0, 2, 3), '0x2'),
])  # yapf: disable
def test_wrong_arguments_are_refused_in_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()
