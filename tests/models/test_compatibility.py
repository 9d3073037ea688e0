import pytest
import torch

from mmcls_repmlp.errors import CheckpointError
from mmcls_repmlp.models.compatibility import (check_state_dict,
                                               explain_mismatch, find_mismatch,
                                               is_merged)

TRAINING = {
    'gp.w': torch.ones(1),
    'fc3.weight': torch.ones(8, 4, 1, 1),
    'fc3_bn.weight': torch.ones(2),
    'fc3_bn.num_batches_tracked': torch.tensor(1)
}
MERGED = {
    'gp.w': torch.ones(1),
    'fc3.weight': torch.ones(8, 4, 1, 1),
    'fc3.bias': torch.ones(8)
}


def explain(expected, given):
    return explain_mismatch(find_mismatch(expected, given))


def test_equal_names_and_shapes_are_no_mismatch():
    assert not find_mismatch(TRAINING, TRAINING)


def test_counters_of_batch_norm_may_be_absent():
    given = dict(TRAINING)
    del given['fc3_bn.num_batches_tracked']
    assert not find_mismatch(TRAINING, given)


def test_all_differences_are_named_but_only_the_first_are_shown():
    given = {f'new{i}': torch.ones(1) for i in range(5)}
    given['fc3.weight'] = torch.ones(2, 1, 1, 1)
    mismatch = find_mismatch(TRAINING, given)
    assert mismatch.missing == ('gp.w', 'fc3_bn.weight')
    assert len(mismatch.unexpected) == 5
    assert mismatch.misshaped == {'fc3.weight': ((8, 4, 1, 1), (2, 1, 1, 1))}
    assert '5 unexpected: new0, new1, new2, ...' in str(mismatch)
    assert 'fc3.weight (model (8, 4, 1, 1), checkpoint (2, 1, 1, 1))' in str(
        mismatch)


def test_explanations():
    assert 'already converted' in explain(TRAINING, MERGED)
    assert 'training form' in explain(MERGED, TRAINING)
    other_size = {**TRAINING, 'fc3.weight': torch.ones(18, 9, 1, 1)}
    assert 'another image size' in explain(TRAINING, other_size)
    assert 'partitions of 3x3, the model has 2x2' in explain(
        TRAINING, other_size)
    assert 'set img_size accordingly, or resize it with ' \
        'tools/convert_models/resize_partitions.py' in explain(
            TRAINING, other_size)
    with_head = {**TRAINING, 'head.fc.weight': torch.ones(10, 2)}
    other_head = {**TRAINING, 'head.fc.weight': torch.ones(5, 2)}
    assert 'another number of classes' in explain(with_head, other_head)
    assert 'another image size' in explain(with_head, {
        **other_head,
        **other_size
    })
    heads = {
        f'{name}.conv_seg.weight': torch.ones(19, 16, 1, 1)
        for name in ('decode_head', 'auxiliary_head')
    }
    assert 'another number of classes' in explain({
        **TRAINING,
        **heads
    }, {
        **TRAINING,
        **{
            key: value[:2]
            for key, value in heads.items()
        }
    })
    wider = {**TRAINING, 'head.fc.weight': torch.ones(10, 3)}
    assert 'another architecture' in explain(with_head, wider)
    assert 'another architecture' in explain(TRAINING, {'x': torch.ones(1)})
    both = {**other_size, 'gp.w': torch.ones(2)}
    assert 'another architecture' in explain(TRAINING, both)


@pytest.mark.parametrize(('expected', 'given'), [(MERGED, TRAINING),
                                                 (TRAINING, MERGED)])
def test_the_tool_is_named(expected, given):
    given = {f'a.{key}': value for key, value in given.items()}
    with pytest.raises(CheckpointError, match='reparameterize_model.py'):
        check_state_dict(expected, given, 'a.')


def test_state_dicts_without_any_of_the_names_are_none_of_its_business():
    check_state_dict(TRAINING, {'head.weight': torch.ones(1)}, 'a.')
    check_state_dict(TRAINING, {
        f'a.{k}': v
        for k, v in TRAINING.items()
    }, 'a.')


def test_forms_of_whole_convolutions_are_told_apart():
    training = {'conv.weight': torch.ones(1), 'bn.weight': torch.ones(1)}
    merged = {'conv.weight': torch.ones(1), 'conv.bias': torch.ones(1)}
    assert 'already converted' in explain(training, merged)
    assert 'training form' in explain(merged, training)
    # A bias alone says nothing: that of another layer than the norm's.
    other = {'conv.weight': torch.ones(1), 'gp.conv.bias': torch.ones(1)}
    assert 'another architecture' in explain(training, other)


def test_another_number_of_partitions():
    ours = {**TRAINING, 'fc1_fc2.fc1.weight': torch.ones(4, 4)}
    theirs = {**TRAINING, 'fc1_fc2.fc1.weight': torch.ones(2, 2)}
    assert 'another image size: global' in explain(ours, theirs)


def test_merged_names_are_recognised():
    assert is_merged(MERGED) and not is_merged(TRAINING)
    assert is_merged({**MERGED, 'norm1.weight': 0, 'embed.bn.weight': 0})
    assert not is_merged({**TRAINING, 'gp.conv1.conv.bias': 0})
    assert is_merged(['stage0.conv.weight', 'stage0.conv.bias'])
    assert not is_merged(['stage0.conv.weight', 'stage0.bn.weight'])
    # Of a segmenter, whose head keeps its norms.
    head = ['decode_head.bn.weight', 'decode_head.fc3.bias']
    assert is_merged(['backbone.conv.weight', *head])
    assert not is_merged(['backbone.conv.weight', 'backbone.bn.bias', *head])
