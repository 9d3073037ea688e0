"""What the programs that start several processes tell each of them."""
from __future__ import annotations

import os

import torch

from repmlp_lite.errors import UserError, option

# By launcher: the program, and what mmengine reads of what it sets.
_STARTED = {
    'pytorch': ('torchrun --nproc_per_node=NUMBER',
                ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR',
                 'MASTER_PORT')),
    'slurm': ('srun', ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST')),
    'mpi': ('mpirun', ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_LOCAL_RANK',
                       'OMPI_COMM_WORLD_SIZE', 'MASTER_ADDR'))
}
_WORDS = ('MASTER_ADDR', 'SLURM_NODELIST')  # the others are numbers


def check_launcher(launcher: str) -> None:
    """Make sure that the process was started as it is said to be.

    Raises:
        UserError: If what that launcher sets is not there, or no number; or
            if it starts processes for GPUs, and there are none.
    """
    if launcher == 'none':
        return
    if launcher not in _STARTED:
        raise UserError(f'launcher {launcher!r} is unknown: choose from none, '
                        f'{", ".join(_STARTED)}')
    program, names = _STARTED[launcher]
    wrong = [
        f'{name}={os.environ[name]}' if name in os.environ else name
        for name in names if not _usable(name)
    ]
    if wrong:
        raise UserError(
            f'{option("launcher", launcher)} is for processes that '
            f'{program} starts, which did not set {", ".join(wrong)}: start '
            f'with that, or leave {option("launcher", ...)} out for a single '
            'process')
    if launcher != 'pytorch' and not torch.cuda.is_available():
        raise UserError(
            f'{option("launcher", launcher)} needs GPUs, and none is '
            'available here: take pytorch, which can do without')


def _usable(name: str) -> bool:
    value = os.environ.get(name, '')
    return bool(value) if name in _WORDS else value.isdigit()
