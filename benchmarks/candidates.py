"""Candidates to time: RepMLPNet in its forms, and its peers."""
from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mmcls_repmlp.host import NAME, host_module
from mmcls_repmlp.jobs.shared.config import config_errors, read_config
from mmcls_repmlp.jobs.shared.model import build_model
from mmcls_repmlp.models import RepMLPNet, resolve_arch
from mmcls_repmlp.reparam import complexity
from mmcls_repmlp.reparam.fuse import fuse_for_inference
from mmcls_repmlp.reparam.reparameterize import reparameterize
from repmlp_lite.errors import UserError, translate
from repmlp_lite.exported.load_exported import load_exported

FORMS = ('train-step', 'train-form', 'deploy', 'fused', 'compiled', 'onnx',
         'openvino')
PEER_FORMS = ('eager', 'train-step', 'compiled', 'onnx', 'openvino')
_SEED = 0
# Published top-1 on ImageNet at 224 pixels: of ours, the official README at
# DingXiaoH/RepMLP@3eff13f; of others, the table of results of timm 1.0.31.
TOP_1 = {
    'ours:t': 76.62,
    'ours:b': 80.32,
    'resmlp_12_224': 76.66,
    'resmlp_24_224': 79.38,
    'gmlp_s16_224': 79.65,
    'mixer_b16_224': 76.4,
    'resnet50': 76.1,
    'convnext_tiny': 82.1,
    'swin_tiny_patch4_window7_224': 81.2,
    'deit_small_patch16_224': 79.8,
}


class Candidate(NamedTuple):
    """What is timed.

    Attributes:
        run: Function that runs once.
        macs: Multiply-accumulates for one image, without gradients.
        top_1: Published accuracy in per cent, if any.
    """
    run: Callable[[], Any]
    macs: int
    top_1: float | None


def build_candidate(name: str, arch: Any, img_size: int,
                    images: Tensor) -> Candidate:
    """Build a candidate; those of RepMLPNet have the same weights.

    Args:
        name: 'config:PATH:FORM', the backbone of a config here, on images of
            its own size; 'rc6:FORM', the host's own RepMLPNet, as first
            published in mmcls 1.0.0rc6; 'ours:FORM', this package's;
            'timm:NAME:FORM' or 'host:NAME:FORM', a whole model. 'compiled',
            'onnx' and 'openvino' run the fused form of ours and the deploy
            form of rc6. 'ours:FORM:ARCH' has an arch of its own. The form of a
            peer is 'eager' by default.
        arch: Name of the variant of RepMLPNet.
        img_size: Image size.
        images: Batch to run on, in the dtype to run in.

    Raises:
        UserError: If there is no such candidate.
    """
    owner, form, own = _parse(name)
    if owner == 'config':
        return _of_config(own, form, images)
    if owner in ('timm', 'host'):
        model = _peer(owner, own).to(images.dtype)
        macs, top_1 = _count_macs(model, images), TOP_1.get(own)
    else:
        arch = own or arch
        model = _model(owner, form, arch, img_size).to(images.dtype)
        with torch.device('meta'):
            merged = RepMLPNet(arch, img_size, out_indices=-1, deploy=True)
        macs = complexity(merged, (3, img_size, img_size)).macs
        top_1 = TOP_1.get(f'ours:{arch}') if img_size == 224 else None
    return Candidate(_runner(model, form, images), macs, top_1)


def _of_config(path: str, form: str, images: Tensor) -> Candidate:
    with config_errors(f'{path} cannot be timed'):
        model = build_model(read_config(path)).backbone.eval()
    shape = next(model.parameters()).shape[1], *model.img_size
    macs = complexity(reparameterize(model), shape).macs
    if form != 'train-step':
        reparameterize(model, inplace=True)
    if form in ('fused', 'compiled', 'onnx', 'openvino'):
        with suppress(TypeError):  # of another kind
            model = fuse_for_inference(model)
    own = torch.randn(len(images), *shape).to(images.dtype)
    return Candidate(_runner(model.to(images.dtype), form, own), macs, None)


def _parse(name: str) -> tuple[str, str, str]:
    """Split a name into owner, form, and name of a model or variant."""
    owner, _, rest = name.partition(':')
    if owner in ('timm', 'host', 'config'):
        model, _, form = rest.partition(':')
        form = form or 'eager'
        merges = owner == 'config' and form in ('deploy', 'fused')
        if model and (merges or form in PEER_FORMS):
            return owner, form, model
    form, _, arch = rest.partition(':')
    if owner in ('rc6', 'ours') and form in FORMS and name != 'rc6:fused':
        return owner, form, arch
    raise UserError(
        f'{name!r} is not a candidate: give rc6 or ours, a colon, and one of '
        f'{", ".join(FORMS)} (rc6 has no fused form); or timm or host, a '
        'colon and the name of a model, and perhaps a colon and one of '
        f'{", ".join(PEER_FORMS)}; or config, a colon and a path')


def _peer(owner: str, name: str) -> nn.Module:
    torch.manual_seed(_SEED)
    if owner == 'timm':
        try:
            timm = import_module('timm')
        except ImportError as error:
            raise UserError(
                'timm is not installed: run pip install timm') from error
        with translate(UserError, 'timm cannot build it', RuntimeError):
            return timm.create_model(name).eval()
    with translate(UserError, f'{NAME} cannot build it', ValueError):
        return host_module(NAME).get_model(name).eval()


def _count_macs(model: nn.Module, images: Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(images[:1])
    return counter.get_total_flops() // 2


def _runner(model: nn.Module, form: str, images: Tensor) -> Callable[[], Any]:
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
    _last(model(images)).float().mean().backward()


@torch.inference_mode()
def _infer(model: Callable[..., Any], images: Tensor) -> Tensor:
    return _last(model(images))


def _last(outputs: Any) -> Tensor:
    """Return the last map of a backbone, or what a whole model gives."""
    return outputs if isinstance(outputs, Tensor) else outputs[-1]


class _LastMap(nn.Module):

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return _last(self.model(images))


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
