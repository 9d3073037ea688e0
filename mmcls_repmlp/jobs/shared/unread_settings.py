"""Settings of a config that nothing reads."""
from __future__ import annotations

import inspect
import re
import tokenize
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn

from mmcls_repmlp.recipe.settings import iter_items
from repmlp_lite.console import warn
from repmlp_lite.errors import did_you_mean

_CLOSE = 0.85  # similarity of a misspelt name, as difflib measures it
# Top-level keys that mmengine's runner and the tools read.
_READ = {
    *inspect.signature(Runner.__init__).parameters, 'activation_checkpointing',
    'compile', 'custom_imports', 'efficient_conv_bn_eval',
    'find_unused_parameters', 'model_wrapper_cfg', 'sync_bn', 'tta_model',
    'tta_pipeline'
} - {'self', 'cfg'}
# Keys of versions 0.x of the host, with what replaced them.
_REPLACED = dict(
    checkpoint_config='default_hooks.checkpoint',
    cudnn_benchmark='env_cfg.cudnn_benchmark',
    data='train_dataloader, val_dataloader and test_dataloader',
    deterministic='randomness.deterministic',
    dist_params='env_cfg.dist_cfg',
    evaluation='val_evaluator and train_cfg.val_interval',
    fp16='the option --amp, or optim_wrapper.type',
    log_config='default_hooks.logger and visualizer',
    lr_config='param_scheduler',
    momentum_config='param_scheduler',
    mp_start_method='env_cfg.mp_cfg.mp_start_method',
    opencv_num_threads='env_cfg.mp_cfg.opencv_num_threads',
    optimizer='optim_wrapper.optimizer',
    optimizer_config='optim_wrapper.clip_grad',
    resume_from='load_from with resume=True',
    runner='train_cfg',
    seed='randomness.seed',
    total_epochs='train_cfg.max_epochs',
    workflow='train_cfg.val_interval')
# Mappings whose keys are looked up one by one, so that nobody else refuses
# others. A subclass that reads more is not ours to know: it is a warning.
_LOOKED_UP = {
    'auto_scale_lr': 'base_batch_size enable',
    'custom_imports': 'allow_failed_imports imports',
    'env_cfg': 'cudnn_benchmark dist_cfg mp_cfg resource_limit',
    'env_cfg.mp_cfg': 'mp_start_method opencv_num_threads',
    'model.train_cfg': 'augments probs',
    'optim_wrapper.paramwise_cfg':
    'bias_decay_mult bias_lr_mult bypass_duplicate custom_keys '
    'dcn_offset_lr_mult dwconv_decay_mult flat_decay_mult '
    'norm_decay_mult',
}  # yapf: disable


def drop_unread(config: Config, files: Sequence[Path],
                options: Iterable[str]) -> None:
    """Warn of settings that nothing reads, and drop helpers of the files.

    A variable, such as ``train_pipeline``, is no mistake if a file uses its
    name, or if a setting that is read has its value.

    Args:
        config: The config with the options in it.
        files: The file that was read, then those that it inherits from.
        options: Dotted keys of the settings that were changed.
    """
    texts = [
        _without_comments(path.read_text(encoding='utf-8')) for path in files
        if path.suffix == '.py'
    ]
    changed = {key.split('.')[0] for key in options}
    read = {key: value for key, value in config.items() if key in _READ}
    values = [value for _, value in iter_items(read)]
    for key in [key for key in config if key not in _READ]:
        value, is_used = config[key], _is_used(key, texts)
        is_large = isinstance(value, (Mapping, list, tuple))
        # A number or word may well have the same value elsewhere; only in one
        # file alone, as a recorded config is, the name says nothing.
        is_part = any(
            _are_equal(value, part)
            for part in values) and (is_large or
                                     (key not in changed and len(texts) < 2))
        is_mistake = key in _REPLACED or bool(
            not is_large and did_you_mean(key, _READ, _CLOSE))
        if value is not None and (key in changed or
                                  not is_used) and (is_mistake or not is_part):
            _warn('the config', key, _READ)
        elif not is_part:  # the recorded config, one file alone, has no use
            config.pop(key)
    _check_names(dict(config.items()))


def _without_comments(text: str) -> str:
    lines = text.splitlines(keepends=True)
    for token in tokenize.generate_tokens(StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column] + '\n'
    return ''.join(lines)


def warn_of_unmatched_keys(config: Mapping[str, Any],
                           model: nn.Module) -> None:
    """Warn of ``custom_keys`` that are in the name of no parameter."""
    wrapper = config.get('optim_wrapper') or {}
    keys = (wrapper.get('paramwise_cfg') or {}).get('custom_keys') or {}
    names = [name for name, _ in model.named_parameters()]
    for key in keys:
        if not any(key in name for name in names):
            warn('warning: optim_wrapper.paramwise_cfg.custom_keys sets '
                 f'{key!r}, which is in the name of no parameter')
        for setting in {*(keys[key] or ())} - {'lr_mult', 'decay_mult'}:
            _warn(f'custom_keys of {key!r}', setting,
                  ('lr_mult', 'decay_mult'))


def _check_names(config: Mapping[str, Any]) -> None:
    inner = (config['model'] or {}).get('data_preprocessor')
    if inner and config.get('data_preprocessor') not in (None, inner):
        warn('warning: the config sets data_preprocessor twice, and only the '
             'one in model is read')
    for place, names in _LOOKED_UP.items():
        *above, last = place.split('.')
        settings: Any = config
        for step in above:
            settings = settings.get(step) or {}
        # Another constructor reads what it likes.
        if 'constructor' not in settings:
            for key in {*(settings.get(last) or ())} - {*names.split()}:
                if key != '_scope_':
                    _warn(place, key, names.split())


def _is_used(key: str, texts: Sequence[str]) -> bool:
    """Return whether a file, or one that inherits from it, uses a variable.

    Its value is that of the first file that assigns it. One that only takes a
    part of another, such as ``std[::-1]``, is a helper.
    """
    name = re.escape(key)
    for text in texts:
        if re.search(rf'\b{name}\b(?!\s*=[^=])', text):
            return True
        assigned = re.search(rf'^{name}\s*=(\s*\w+\[)?', text, re.MULTILINE)
        if assigned:
            return bool(assigned[1])
    return False


def _are_equal(one: Any, other: Any) -> bool:
    try:
        return type(one) is type(other) and bool(one == other)
    except ValueError:  # arrays
        return one is other


def _warn(place: str, key: str, known: Iterable[str]) -> None:
    remedy = did_you_mean(str(key), known, _CLOSE)
    if not remedy and place == 'the config':
        remedy = (
            f': it is a key of older versions, replaced by {_REPLACED[key]}'
            if key in _REPLACED else ': no setting has its value')
    warn(f'warning: {place} sets {key!r}, and nothing reads it{remedy}')
