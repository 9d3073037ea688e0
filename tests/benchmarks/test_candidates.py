import functools

import numpy as np
import openvino
import pytest
import torch
from candidates import build_candidate

from repmlp_lite.errors import UserError
from tests.helpers import assert_same

ARCH = dict(channels=(4, 8), depths=(1, 1), sharesets_nums=(1, 4))
IMAGES = torch.randn(2, 3, 16, 16)


def run(name):
    return build_candidate(name, ARCH, 16, IMAGES)()


@pytest.mark.filterwarnings('ignore')
def test_all_deploy_forms_compute_the_same(monkeypatch):
    # By itself OpenVINO computes in bfloat16 where the CPU has it.
    monkeypatch.setattr(
        openvino.Core, 'compile_model',
        functools.partialmethod(
            openvino.Core.compile_model,
            config=dict(INFERENCE_PRECISION_HINT='f32')))
    expected = run('rc6:deploy')
    for name in ('ours:deploy', 'ours:fused', 'rc6:onnx', 'ours:onnx',
                 'ours:openvino'):
        out = torch.from_numpy(np.array(run(name)))
        assert_same(out, expected, 2e-4)


def test_training_forms_are_equal():
    assert_same(run('ours:train-form'), run('rc6:train-form'), 2e-4)


@pytest.mark.parametrize('name', ['rc6:train-step', 'ours:train-step'])
def test_a_training_step_runs_backward_once(name, monkeypatch):
    losses, backward = [], torch.Tensor.backward

    def spy(self):
        backward(self)
        losses.append(self)

    monkeypatch.setattr(torch.Tensor, 'backward', spy)
    run(name)
    assert len(losses) == 1


@pytest.mark.parametrize('name', ['rc6', 'rc6:fused', 'x:deploy', 'ours:x'])
def test_unknown_candidates_are_refused_with_the_choice(name):
    with pytest.raises(
            UserError,
            match=f"'{name}' is not a candidate: give "
            'one of rc6, ours, a colon'):
        run(name)


def test_exported_forms_are_float32():
    with pytest.raises(UserError, match='float32 only'):
        build_candidate('ours:onnx', ARCH, 16, IMAGES.bfloat16())
