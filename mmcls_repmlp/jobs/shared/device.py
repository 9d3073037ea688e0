"""Choice of the device that a runner works on."""
from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import torch
from mmengine.config import Config

from repmlp_lite.console import warn
from repmlp_lite.errors import UserError, option

_CPU_INFO = Path('/proc/cpuinfo')
_BFLOAT16 = re.compile(r'\b(avx512_bf16|amx_bf16|bf16|svebf16)\b')


def choose_device(cfg: Config, device: str | None, launcher: str) -> bool:
    """Choose where a runner will work, and return whether that is a GPU.

    Args:
        cfg: The config, whose loaders pin no memory for a CPU.
        device: 'cpu', 'cuda' or 'cuda:N'. None for a GPU if there is one.
        launcher: How processes were started.

    Raises:
        UserError: If there is no such device, or each of several processes
            has its own.
    """
    available = torch.cuda.is_available()
    if device is None:
        return available
    asked, count = option('device', device), torch.cuda.device_count()
    if launcher != 'none':
        raise UserError(f'{asked} is for one process: each of several has a '
                        'device of its own, which CUDA_VISIBLE_DEVICES limits')
    kind = re.fullmatch(r'(cpu|cuda)(?::(\d+))?', device)
    number = int(kind[2] or 0) if kind else 0
    if not kind or (kind[1] == 'cuda' and number >= count):
        raise UserError(f'{asked} is not here: choose cpu' +
                        (f', or cuda:0 to cuda:{count - 1}'
                         if count else '; no GPU is available'))
    if kind[1] == 'cuda':
        torch.cuda.set_device(number)
        return True
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(name):
            cfg[name].pin_memory = False
    return False


def warn_of_slow_bfloat16(remedy: str) -> None:
    """Warn, with a remedy, if the CPU has no instructions for bfloat16."""
    with suppress(OSError):  # another system than Linux
        if not _BFLOAT16.search(_CPU_INFO.read_text()):
            warn('warning: this processor has no instructions for bfloat16, '
                 f'which is much slower than float32 here: {remedy}')
