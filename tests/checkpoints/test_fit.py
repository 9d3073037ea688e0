import pytest
import torch

from mmcls_repmlp import RepMLPNet
from mmcls_repmlp.checkpoints import check_fit, keep_dtype, load_strictly
from repmlp_lite.errors import CheckpointError
from tests.helpers import TINY_CFG, assert_refused, random_model


@pytest.mark.parametrize(('change', 'message'), [
    (lambda w: w.pop('final_norm.weight'), '1 missing: final_norm.weight'),
    (lambda w: w.update(new=torch.ones(1)), '1 unexpected: new'),
    (lambda w: w.update({'final_norm.weight': torch.ones(3)}),
     r'1 mis-shaped: final_norm.weight \(model \(32,\), checkpoint \(3,\)\)'),
    (lambda w: w.update({'final_norm.weight': torch.ones(32).long()}),
     r'integers where .*1 not floating-point: final_norm.weight'),
])
def test_strict_loading_is_all_or_nothing(change, message):
    weights = dict(random_model(RepMLPNet, **TINY_CFG).state_dict())
    change(weights)
    assert_refused(
        random_model(RepMLPNet, 1, **TINY_CFG), weights, message,
        lambda *files: load_strictly(*files, 'a.pth'))


def test_a_message_stays_short_whatever_the_names_are():
    model = random_model(RepMLPNet, **TINY_CFG)
    weights = {f'{i}' * 10_000: torch.ones(1) for i in range(9)}
    with pytest.raises(CheckpointError, match='check arch') as error:
        check_fit(model, weights, 'folder/' * 50 + 'a.pth')
    assert len(str(error.value)) <= 300


@pytest.mark.parametrize(('kinds', 'kept'),
                         [((torch.float64, torch.int64), torch.float64),
                          ((torch.float16, torch.float64), torch.float32),
                          ((torch.int64, ), torch.float32)])
def test_a_model_keeps_the_one_dtype_of_weights(kinds, kept):
    model = torch.nn.Linear(2, 1)
    keep_dtype(model, {str(kind): torch.ones(1, dtype=kind) for kind in kinds})
    assert {weight.dtype for weight in model.parameters()} == {kept}
