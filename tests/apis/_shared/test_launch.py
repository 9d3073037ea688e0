import pytest
import torch

from mmcls_repmlp.apis._shared.launch import check_launcher
from mmcls_repmlp.errors import UserError

STARTED = dict(
    RANK='0',
    LOCAL_RANK='0',
    WORLD_SIZE='1',
    MASTER_ADDR='127.0.0.1',
    MASTER_PORT='29500')


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    for name in (*STARTED, 'SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST',
                 'OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE',
                 'OMPI_COMM_WORLD_LOCAL_RANK'):
        monkeypatch.delenv(name, raising=False)


def test_processes_that_were_started_as_said(monkeypatch):
    check_launcher('none')
    for name, value in STARTED.items():
        monkeypatch.setenv(name, value)
    check_launcher('pytorch')


@pytest.mark.parametrize(
    ('launcher', 'message'),
    [('pytorch', 'torchrun .* did not set RANK, LOCAL_RANK, WORLD_SIZE, MAST'),
     ('slurm', 'srun .* SLURM_PROCID'), ('mpi', 'mpirun .* OMPI_COMM_WORLD'),
     ('x', "'x' is unknown: choose from none, pytorch")])
def test_others(launcher, message):
    with pytest.raises(UserError, match=message):
        check_launcher(launcher)


@pytest.mark.parametrize(('name', 'value'), [('RANK', 'x'), ('WORLD_SIZE', ''),
                                             ('MASTER_PORT', '-1')])
def test_what_is_no_number(monkeypatch, name, value):
    for key in STARTED:
        monkeypatch.setenv(key, STARTED[key])
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=f'did not set {name}={value}: start'):
        check_launcher('pytorch')


def test_slurm_needs_gpus(monkeypatch):
    for name in ('PROCID', 'NTASKS', 'NODELIST'):
        monkeypatch.setenv(f'SLURM_{name}', '1')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(UserError, match='needs GPUs'):
        check_launcher('slurm')
