"""The test pipeline of a config, recorded for programs without the host."""
from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import mmcv.transforms as mmcv_transforms
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmcls_repmlp.host import PACKERS, TRANSFORMS, ResizeEdge
from mmcls_repmlp.jobs.shared.config import user_errors
from mmcls_repmlp.recipe.transforms import LoadImageStrict
from repmlp_lite.errors import ConfigError, option
from repmlp_lite.exported.pixels import check_pipeline

Step = dict[str, Any]
_RESIZING = ('backend', 'interpolation')


def recorded_pipeline(cfg: Config, size: tuple[int, int]) -> list[Step] | str:
    """Write down what the test pipeline of a config does to an image.

    Args:
        cfg: The config.
        size: Height and width that the exported file takes.

    Returns:
        The settings of every transform; or, where images cannot be made for
        the file from image files at all, a sentence that says why.

    Raises:
        ConfigError: If a transform cannot be recorded.
    """
    if cfg.get('test_dataloader') is None:
        return 'the config has no test_dataloader, whose pipeline to follow'
    settings = copy.deepcopy(cfg.test_dataloader.dataset.get('pipeline', []))
    init_default_scope(cfg.default_scope)
    with user_errors('the test pipeline of the config cannot be built'):
        steps = [TRANSFORMS.build(setting) for setting in settings]
    if not any(
            isinstance(step, mmcv_transforms.LoadImageFromFile)
            for step in steps):
        return 'the test data of the config are no image files'
    recorded = [step for transform in steps for step in _recorded(transform)]
    try:
        check_pipeline(recorded)
    except ValueError as error:
        raise _refusal(str(error)) from error
    made = _made_size(recorded)
    if made not in (None, size):
        return ('the test pipeline of the config makes images of '
                f'{made[0]}x{made[1]}, and the file takes {size[0]}x{size[1]}')
    return recorded


def _recorded(transform: Any) -> list[Step]:
    record = _RECORDS.get(type(transform))
    if record is None:
        raise _refusal(f'{type(transform).__name__} is not known to it')
    return [{
        'type': type(transform).__name__,
        **step
    } for step in record(transform)]


def _refusal(reason: str) -> ConfigError:
    return ConfigError(
        'the test pipeline of the config cannot be written down for '
        f'predict.py ({reason}): simplify it, or export without any by '
        f'{option("cfg_options", "test_dataloader=None")}')


def _load(transform: mmcv_transforms.LoadImageFromFile) -> list[Step]:
    if (transform.to_float32 or transform.backend_args
            or transform.file_client_args):
        raise _refusal('LoadImageFromFile with to_float32 or a backend for '
                       'files is not known to it')
    step, = _attributes('color_type', 'imdecode_backend')(transform)
    return [dict(step, type='LoadImageFromFile')]  # as cards call it


def _attributes(*names: str) -> Callable[[Any], list[Step]]:
    return lambda transform: [{
        name: _plain(getattr(transform, name))
        for name in names
    }]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value


def _pad(transform: mmcv_transforms.Pad) -> list[Step]:
    if transform.padding_mode != 'constant':
        raise _refusal(f'Pad in mode {transform.padding_mode!r} is not known '
                       'to it')
    step, = _attributes('size', 'size_divisor', 'pad_to_square')(transform)
    return [dict(step, pad_val=transform.pad_val.get('img', 0))]


def _crop(transform: mmcv_transforms.CenterCrop) -> list[Step]:
    if transform.auto_pad:
        raise _refusal('CenterCrop with auto_pad is not known to it')
    return _attributes('crop_size')(transform)


_RECORDS: dict[type, Callable[[Any], list[Step]]] = {
    mmcv_transforms.LoadImageFromFile: _load,
    LoadImageStrict: _load,
    mmcv_transforms.Resize: _attributes('scale', 'scale_factor', 'keep_ratio',
                                        *_RESIZING),
    ResizeEdge: _attributes('scale', 'edge', *_RESIZING),
    mmcv_transforms.CenterCrop: _crop,
    mmcv_transforms.Pad: _pad,
    **{
        packer: lambda transform: []
        for packer in PACKERS
    },
}


def _made_size(steps: Sequence[Step]) -> tuple[int, int] | None:
    """Tell which size all images get; None if it depends on the image."""
    last = steps[-1]
    if last['type'] == 'Resize' and last['scale'] and not last['keep_ratio']:
        return last['scale'][1], last['scale'][0]
    if last['type'] == 'CenterCrop':
        return last['crop_size'][1], last['crop_size'][0]
    return None
