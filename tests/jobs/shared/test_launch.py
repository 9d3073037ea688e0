from types import SimpleNamespace as Namespace

import pytest

from mmcls_repmlp.jobs.shared import launch
from repmlp_lite.errors import UserError

TORCHRUN = dict.fromkeys(
    ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'), '1')
SRUN = dict.fromkeys(('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'), '1')


@pytest.fixture
def check(monkeypatch):

    def check(launcher, variables):
        monkeypatch.setattr(launch, 'os', Namespace(environ=variables))
        launch.check_launcher(launcher)

    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    return check


def test_processes_that_were_started_as_said(check):
    check('none', {})
    check('pytorch', TORCHRUN)


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
        check(launcher, variables)
