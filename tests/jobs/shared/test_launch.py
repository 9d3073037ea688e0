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


def test_processes_of_the_launcher(check):
    check('none', {})
    check('pytorch', TORCHRUN)


@pytest.mark.parametrize(('launcher', 'variables', 'message'), [
    ('pytorch', {},
     'torchrun .* did not set RANK, LOCAL_RANK, WORLD_SIZE, MAST'),
    ('pytorch', dict(TORCHRUN, WORLD_SIZE=''), 'did not set WORLD_SIZE: '),
    ('slurm', {}, 'srun, .* SLURM_PROCID'),
    ('slurm', SRUN, 'needs GPUs'),
    ('mpi', {}, 'mpirun, .* OMPI_COMM_WORLD'),
    ('x', {}, "'x' is unknown: choose from none, pytorch"),
])
def test_other_processes(check, launcher, variables, message):
    with pytest.raises(UserError, match=message):
        check(launcher, variables)
