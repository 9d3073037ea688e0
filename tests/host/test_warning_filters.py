import warnings

import pytest

from mmcls_repmlp.host import NAME, silence_import_warnings
from tests.programs import run_python


def test_noise_is_silenced_and_nothing_else(capsys):
    with pytest.warns(UserWarning, match='worth reading') as seen, \
            silence_import_warnings():
        warnings.warn('Fail to import ``Something``', stacklevel=1)
        warnings.warn('old', DeprecationWarning, stacklevel=1)
        warnings.warn('worth reading', stacklevel=1)
        print('Could not import OneDL')
        print('printed by a config')
    assert len(seen) == 1
    assert capsys.readouterr().out == 'printed by a config\n'


def test_what_importing_and_running_mmengine_warns_of_is_not_shown():
    code = ('import mmcls_repmlp, warnings; '
            'from mmengine.utils import dl_utils, get_installed_path; '
            'warnings.simplefilter("default", append=True); '
            f'get_installed_path({NAME!r}); dl_utils.mmcv_full_available(); '
            'from torch.utils.data import DataLoader; '
            'DataLoader([0], num_workers=999); '
            'warnings.warn("other", DeprecationWarning)')
    done = run_python('-c', code)
    assert (done.returncode, done.stdout) == (0, '')
    # The first thing that is said of all.
    assert done.stderr.startswith('<string>:1: DeprecationWarning: other\n')
