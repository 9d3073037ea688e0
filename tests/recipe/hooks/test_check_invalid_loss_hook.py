from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import AmpOptimWrapper, OptimWrapper

from mmcls_repmlp.recipe.hooks import CheckInvalidLossHook
from mmcls_repmlp.recipe.hooks import check_invalid_loss_hook as module
from repmlp_lite.errors import JobFailedError

NAN = float('nan')


def train(losses, wrapper=None, name='loss', **options):
    """Go through losses as a training loop does."""
    hook, hub = CheckInvalidLossHook(**options), MessageHub('losses')
    runner = SimpleNamespace(message_hub=hub, iter=0, optim_wrapper=wrapper)
    for loss in losses:
        hub.update_scalar(f'train/{name}', loss)
        hook.after_train_iter(
            runner, runner.iter, outputs={name: torch.tensor(loss)})
        runner.iter += 1
    hook.after_train_epoch(runner)
    return runner.iter


def amp(enabled=True):
    wrapper = AmpOptimWrapper.__new__(AmpOptimWrapper)
    wrapper.loss_scaler = SimpleNamespace(is_enabled=lambda: enabled)
    return wrapper


@pytest.mark.parametrize(('bad', 'name'), [(NAN, 'loss'),
                                           (-float('inf'), 'aux_loss')])
def test_a_lost_loss_ends_training_at_once(bad, name):
    assert train([1., 2.], OptimWrapper, name=name) == 2
    words = 'since iteration 3: .*lower learning rate .*clip_grad'
    with pytest.raises(JobFailedError, match=words):
        train([1., 2., bad, 1.], name=name)


def test_other_outputs_may_be_anything():
    train([1., NAN, 1.], name='grad_norm')


def test_overflows_are_endured_where_the_loss_is_scaled():
    assert train([NAN] * 20 + [1.] + [NAN] * 20, amp()) == 41
    with pytest.raises(JobFailedError, match='since iteration 2'):
        train([1.] + [NAN] * 21, amp())
    with pytest.raises(JobFailedError, match='since iteration 1'):
        train([NAN], amp(enabled=False))


def test_several_processes_end_together(monkeypatch):
    asked = []

    def all_reduce(first, op):
        asked.append((int(first), op))
        first.clamp_(max=7)  # another process lost it in iteration 7

    monkeypatch.setattr(module, 'get_world_size', lambda: 2)
    monkeypatch.setattr(module, 'all_reduce', all_reduce)
    with pytest.raises(JobFailedError, match='since iteration 7'):
        train([1.] * 20, interval=10)
    assert len(asked) == 1 and asked[0][1] == 'min'
