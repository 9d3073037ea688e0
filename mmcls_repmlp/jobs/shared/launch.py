"""Environment variables that launchers of several processes set."""
from __future__ import annotations

import os

import torch

from repmlp_lite.errors import UserError, option

# By launcher: the program, and the variables of its that mmengine reads.
_LAUNCHERS = {
    'pytorch': ('torchrun --nproc_per_node=NUMBER',
                ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR',
                 'MASTER_PORT')),
    'slurm': ('srun', ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST')),
    'mpi': ('mpirun', ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_LOCAL_RANK',
                       'OMPI_COMM_WORLD_SIZE', 'MASTER_ADDR'))
}


def check_launcher(launcher: str) -> None:
    """Raise UserError if this process was not started by a launcher.

    Also where it starts processes for GPUs and there are none.
    """
    if launcher == 'none':
        return
    if launcher not in _LAUNCHERS:
        raise UserError(f'launcher {launcher!r} is unknown: choose from none, '
                        f'{", ".join(_LAUNCHERS)}')
    program, names = _LAUNCHERS[launcher]
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        raise UserError(
            f'{option("launcher", launcher)} is for processes started by '
            f'{program}, which did not set {", ".join(missing)}: start with '
            f'that, or leave {option("launcher", ...)} out for one process')
    if launcher != 'pytorch' and not torch.cuda.is_available():
        raise UserError(
            f'{option("launcher", launcher)} needs GPUs, and none is '
            'available here: choose pytorch, which works without')
