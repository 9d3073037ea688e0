import pytest

from mmcls_repmlp.apis._shared.launch import check_launcher
from mmcls_repmlp.errors import UserError

TORCHRUN = dict.fromkeys(
    ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'), '1')
SRUN = dict.fromkeys(('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'), '1')
MPIRUN = ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_LOCAL_RANK',
          'OMPI_COMM_WORLD_SIZE')


@pytest.fixture
def check(monkeypatch):
    """Check a launcher where these variables are set, and no others."""
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)

    def run(launcher, **variables):
        for name in (*TORCHRUN, *SRUN, *MPIRUN):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        check_launcher(launcher)

    return run


def test_processes_that_were_started_as_said(check):
    check('none')
    check('pytorch', **TORCHRUN)


@pytest.mark.parametrize(('launcher', 'variables', 'message'), [
    ('pytorch', {},
     'torchrun .* did not set RANK, LOCAL_RANK, WORLD_SIZE, MAST'),
    ('pytorch', dict(TORCHRUN, RANK='x'), 'did not set RANK=x: start'),
    ('pytorch', dict(TORCHRUN, WORLD_SIZE=''), 'did not set WORLD_SIZE=: '),
    ('pytorch', dict(TORCHRUN, MASTER_PORT='-1'), 'set MASTER_PORT=-1: '),
    ('slurm', {}, 'srun .* SLURM_PROCID'),
    ('slurm', SRUN, 'needs GPUs'),
    ('mpi', {}, 'mpirun .* OMPI_COMM_WORLD'),
    ('x', {}, "'x' is unknown: choose from none, pytorch"),
])
def test_others(check, launcher, variables, message):
    with pytest.raises(UserError, match=message):
        check(launcher, **variables)
