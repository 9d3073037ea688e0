import functools

import candidates
import numpy as np
import openvino
import pytest
import torch
from candidates import build_candidate

from repmlp_lite.errors import UserError
from tests.helpers import CONFIGS, assert_same

ARCH = dict(channels=(4, 8), depths=(1, 1), sharesets_nums=(1, 4))
IMAGES = torch.randn(2, 3, 16, 16)


def run(name):
    return build_candidate(name, ARCH, 16, IMAGES).run()


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


def test_peers_are_whole_models_of_the_host():
    images = torch.randn(2, 3, 64, 64)
    found = build_candidate('host:resnet50_8xb32_in1k', 'b', 64, images)
    assert found.run().shape == (2, 1000)
    # 4.09 G at 224 pixels; the classifier does not grow with the image.
    assert found.macs == pytest.approx(4.09e9 * (64 / 224)**2, rel=0.03)


@pytest.mark.parametrize('form', ['train-step', 'eager', 'deploy', 'fused'])
def test_backbones_of_configs_have_images_of_their_own(form):
    path = CONFIGS / 'repmlp-mini_1xb128_fashion-mnist.py'
    found = build_candidate(f'config:{path}:{form}', 'b', 224, IMAGES)
    assert found.macs == pytest.approx(13.1e6, rel=0.01)
    out = found.run()
    assert out is None if form == 'train-step' else out.shape == (2, 64, 7, 7)


def test_ours_may_have_an_arch_of_its_own(monkeypatch):
    monkeypatch.setitem(candidates.TOP_1, 'ours:t', 76.62)
    built = build_candidate('ours:deploy:t', 'b', 64, IMAGES)
    assert built.top_1 is None  # published for 224 pixels
    assert built.macs < build_candidate('ours:deploy', 'b', 64, IMAGES).macs


@pytest.mark.parametrize(
    'name',
    ['rc6', 'rc6:fused', 'x:deploy', 'ours:x', 'timm:', 'host:resnet50:fused'])
def test_unknown_candidates_are_refused_with_the_choice(name):
    with pytest.raises(
            UserError,
            match=f"'{name}' is not a candidate: give "
            'rc6 or ours, a colon'):
        run(name)


def test_exported_forms_are_float32():
    with pytest.raises(UserError, match='float32 only'):
        build_candidate('ours:onnx', ARCH, 16, IMAGES.bfloat16())
