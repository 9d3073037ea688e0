import pytest
import torch

from mmcls_repmlp.models.compatibility import (check_state_dict,
                                               explain_mismatch, find_mismatch,
                                               is_merged)
from repmlp_lite.errors import CheckpointError

ONES = torch.ones
TRAINING = {
    'gp.w': ONES(1),
    'fc3.weight': ONES(8, 4, 1, 1),
    'fc3_bn.weight': ONES(2),
    'fc3_bn.num_batches_tracked': torch.tensor(1)
}
MERGED = {'gp.w': ONES(1), 'fc3.weight': ONES(8, 4, 1, 1), 'fc3.bias': ONES(8)}

HEAD = {**TRAINING, 'head.fc.weight': ONES(10, 2)}
OTHER_SIZE = {'fc3.weight': ONES(18, 9, 1, 1)}
SEGMENTER_HEADS = {
    f'{name}.conv_seg.weight': ONES(19, 16, 1, 1)
    for name in ('decode_head', 'auxiliary_head')
}
CONV = {'conv.weight': ONES(1)}


def explain(expected, given):
    return explain_mismatch(find_mismatch(expected, given))


def test_equal_names_and_shapes_are_no_mismatch():
    assert not find_mismatch(TRAINING, TRAINING)
    # Counters of batch norm may be absent.
    counter, = [key for key in TRAINING if key.endswith('tracked')]
    given = {key: TRAINING[key] for key in TRAINING if key != counter}
    assert not find_mismatch(TRAINING, given)


def test_all_differences_are_named_but_only_the_first_are_shown():
    given = {f'new{i}': ONES(1) for i in range(5)}
    given['fc3.weight'] = ONES(2, 1, 1, 1)
    mismatch = find_mismatch(TRAINING, given)
    assert mismatch.missing == ('gp.w', 'fc3_bn.weight')
    assert len(mismatch.unexpected) == 5
    assert mismatch.misshaped == {'fc3.weight': ((8, 4, 1, 1), (2, 1, 1, 1))}
    assert '5 unexpected: new0, new1, new2, ...' in str(mismatch)
    assert 'fc3.weight (model (8, 4, 1, 1), checkpoint (2, 1, 1, 1))' in str(
        mismatch)


@pytest.mark.parametrize(('expected', 'changes', 'message'), [
    (TRAINING, OTHER_SIZE,
     'another image size, for partitions of 3x3, the model has 2x2: set '
     'img_size accordingly, or resize it with '
     'repmlp resize'),
    (HEAD, {'head.fc.weight': ONES(5, 2)}, 'another number of classes'),
    ({**TRAINING, **SEGMENTER_HEADS},
     {key: value[:2] for key, value in SEGMENTER_HEADS.items()},
     'another number of classes'),
    (HEAD, {'head.fc.weight': ONES(10, 3)}, 'another architecture'),
    ({**TRAINING, 'fc1_fc2.fc1.weight': ONES(4, 4)},
     {'fc1_fc2.fc1.weight': ONES(2, 2)}, 'another image size: global'),
])  # yapf: disable
def test_other_shapes(expected, changes, message):
    assert message in explain(expected, {**expected, **changes})


@pytest.mark.parametrize(('expected', 'given', 'message'), [
    (TRAINING, MERGED, 'already converted'),
    (MERGED, TRAINING, 'training form'),
    (TRAINING, {'x': ONES(1)}, 'another architecture'),
    # Whole convolutions.
    ({**CONV, 'bn.weight': ONES(1)}, {**CONV, 'conv.bias': ONES(1)},
     'already converted'),
    ({**CONV, 'conv.bias': ONES(1)}, {**CONV, 'bn.weight': ONES(1)},
     'training form'),
    # A bias alone says nothing: that of another layer than the norm's.
    ({**CONV, 'bn.weight': ONES(1)}, {**CONV, 'gp.conv.bias': ONES(1)},
     'another architecture'),
])  # yapf: disable
def test_other_names(expected, given, message):
    assert message in explain(expected, given)


@pytest.mark.parametrize('keys', [(), ('weight', 'bias')])
def test_state_dicts_fit_with_all_of_the_names_or_none(keys):
    layer = torch.nn.Linear(2, 2)
    given = {f'a.{key}': getattr(layer, key) for key in keys}
    check_state_dict(layer, {**given, 'b.x': ONES(1)}, 'a.', ('a.', ))
    with pytest.raises(CheckpointError, match="below 'a': .*1 unexpected: x"):
        check_state_dict(layer, {**given, 'a.x': ONES(1)}, 'a.', ('a.', ))


# Of a segmenter, whose head keeps its norms.
SEGMENTER = ['decode_head.bn.weight', 'decode_head.fc3.bias']


@pytest.mark.parametrize(('names', 'merged'), [
    ([*MERGED], True),
    ([*TRAINING], False),
    ([*MERGED, 'embed.bn.weight'], True),
    (['stage0.conv.weight', 'stage0.conv.bias'], True),
    (['stage0.conv.weight', 'stage0.bn.weight'], False),
    (['backbone.conv.weight', *SEGMENTER], True),
    (['backbone.conv.weight', 'backbone.bn.bias', *SEGMENTER], False),
])
def test_merged_names_are_recognised(names, merged):
    assert is_merged(names) is merged
