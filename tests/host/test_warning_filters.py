import warnings

import pytest

from mmcls_repmlp.host import silence_import_warnings


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
