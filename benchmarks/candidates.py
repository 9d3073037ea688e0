"""Candidates to time: implementations of RepMLPNet in their forms."""
from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmcls_repmlp.host import NAME, host_module
from mmcls_repmlp.models import RepMLPNet, resolve_arch
from mmcls_repmlp.reparam.fuse import fuse_for_inference
from mmcls_repmlp.reparam.reparameterize import reparameterize
from repmlp_lite.errors import UserError
from repmlp_lite.exported.load_exported import load_exported

IMPLEMENTATIONS = ('rc6', 'ours')
FORMS = ('train-step', 'train-form', 'deploy', 'fused', 'compiled', 'onnx',
         'openvino')
_SEED = 0


def build_candidate(name: str, arch: str, img_size: int,
                    images: Tensor) -> Callable[[], Any]:
    """Build a candidate; all have the same weights.

    Args:
        name: 'IMPLEMENTATION:FORM'. 'rc6' is the host's own backbone, as
            first published in mmcls 1.0.0rc6, 'ours' this package's.
            'compiled', 'onnx' and 'openvino' run the fused form of ours and
            the deploy form of rc6.
        arch: Name of the variant.
        img_size: Image size of the backbone.
        images: Batch to run on, in the dtype to run in.

    Returns:
        A function that runs once.

    Raises:
        UserError: If there is no such candidate.
    """
    implementation, _, form = name.partition(':')
    if implementation not in IMPLEMENTATIONS or form not in FORMS or (
            name == 'rc6:fused'):
        raise UserError(f'{name!r} is not a candidate: give one of '
                        f'{", ".join(IMPLEMENTATIONS)}, a colon, and one of '
                        f'{", ".join(FORMS)} (rc6 has no fused form)')
    model = _model(implementation, form, arch, img_size).to(images.dtype)
    if form == 'train-step':
        return lambda: _train_step(model.train(), images)
    if form in ('onnx', 'openvino'):
        return _exported(model, form, images)
    run = torch.compile(model) if form == 'compiled' else model
    return lambda: _infer(run, images)


def _model(implementation: str, form: str, arch: str,
           img_size: int) -> nn.Module:
    torch.manual_seed(_SEED)
    trained = RepMLPNet(arch, img_size, out_indices=-1).eval()
    if form in ('train-step', 'train-form'):
        if implementation == 'ours':
            return trained
        return _host_model(arch, img_size, trained, deploy=False)
    merged = reparameterize(trained, inplace=True)
    if implementation == 'rc6':
        return _host_model(arch, img_size, merged, deploy=True)
    return merged if form == 'deploy' else fuse_for_inference(merged)


def _host_model(arch: str, img_size: int, ours: nn.Module,
                deploy: bool) -> nn.Module:
    stages = resolve_arch(arch)
    model = host_module(NAME, 'models.backbones.repmlp').RepMLPNet(
        {
            key: list(getattr(stages, key))
            for key in ('channels', 'depths', 'sharesets_nums')
        },
        img_size=img_size,
        out_indices=ours.out_indices,
        reparam_conv_kernels=(1, 3),
        deploy=deploy)
    model.load_state_dict(ours.state_dict())
    model.eval()
    return model


def _train_step(model: nn.Module, images: Tensor) -> None:
    model.zero_grad(set_to_none=True)
    model(images)[-1].float().mean().backward()


@torch.inference_mode()
def _infer(model: Callable[..., Any], images: Tensor) -> Tensor:
    return model(images)[-1]


class _LastMap(nn.Module):

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)[-1]


def _exported(model: nn.Module, form: str,
              images: Tensor) -> Callable[[], Any]:
    if images.dtype != torch.float32:
        raise UserError(f'{form} is timed in float32 only, not in '
                        f'{images.dtype}')
    module = _LastMap(model).eval()
    with tempfile.TemporaryDirectory() as folder, torch.no_grad(), \
            warnings.catch_warnings():
        warnings.simplefilter('ignore')
        path = Path(folder, 'model.onnx')
        # The batch is fixed, as rc6's own graph cannot have another.
        torch.onnx.export(
            module, (images, ),
            path,
            dynamo=True,
            external_data=False,
            verbose=False)
        if form == 'openvino':
            import openvino
            compiled = openvino.Core().compile_model(str(path), 'CPU')
            return lambda: compiled(images.numpy())[0]
        run = load_exported(path)
    return lambda: run(images.numpy())
