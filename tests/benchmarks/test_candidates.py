import functools

import numpy as np
import openvino
import pytest
import torch

from benchmarks.candidates import build_candidate
from repmlp_lite.errors import UserError
from tests.helpers import TINY, assert_same

IMAGES = torch.randn(2, 3, 32, 32)


def run(name):
    return build_candidate(name, TINY, 32, IMAGES)()


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('form', ['deploy', 'fused', 'onnx', 'openvino'])
def test_all_compute_what_rc6s_deploy_form_computes(form, monkeypatch):
    # By itself OpenVINO computes in bfloat16 where the CPU has it.
    monkeypatch.setattr(
        openvino.Core, 'compile_model',
        functools.partialmethod(
            openvino.Core.compile_model,
            config=dict(INFERENCE_PRECISION_HINT='f32')))
    expected = run('rc6:deploy')
    for name in (f'rc6:{form}', f'ours:{form}'):
        if name == 'rc6:fused':
            continue
        out = torch.from_numpy(np.array(run(name)))
        assert_same(out, expected, 2e-4)


def test_training_forms_are_equal():
    assert_same(run('ours:train-form'), run('rc6:train-form'), 2e-4)


@pytest.mark.parametrize('name', ['rc6:train-step', 'ours:train-step'])
def test_a_training_step_goes_back_to_the_stem(name, monkeypatch):
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
            match=f"'{name}' is no candidate: give one "
            'of rc6, ours, a colon'):
        run(name)


def test_exported_forms_are_float32():
    with pytest.raises(UserError, match='float32 only'):
        build_candidate('ours:onnx', TINY, 32, IMAGES.bfloat16())
