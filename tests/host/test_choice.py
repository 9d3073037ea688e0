import warnings

import pytest

from mmcls_repmlp.host import choice
from repmlp_lite.errors import UserError

MMCLS = {'mmcls': '1.0.0rc6', 'mmcv-lite': '2.0.1', 'mmengine': '0.10.7'}
MMPRETRAIN = {'mmpretrain': '1.2.0', 'mmcv': '2.2.0', 'mmengine': '0.10.7'}
LITE = {'mmpretrain': '1.2.0', 'mmcv-lite': '2.1.0', 'mmengine-lite': '0.10.5'}
ONEDL = {
    'onedl-mmpretrain': '1.3.6',
    'onedl-mmcv': '2.3.6',
    'onedl-mmengine': '0.10.12'
}


@pytest.fixture
def installed(monkeypatch):
    """Pretend that some versions are installed, beside torch."""

    def install(versions):
        found = {'torch': '2.13.0+cpu', **versions}

        def version(name):
            if found.get(name) is None:
                raise choice.PackageNotFoundError(name)
            return found[name]

        monkeypatch.setattr(choice, 'version', version)

    return install


@pytest.mark.parametrize(('versions', 'host'), [(MMCLS, 'mmcls'),
                                                (MMPRETRAIN, 'mmpretrain'),
                                                (LITE, 'mmpretrain'),
                                                (ONEDL, 'mmpretrain')])
def test_what_is_installed_is_chosen(installed, versions, host):
    installed(versions)
    assert choice.choose_host() == host
    choice.check_versions(host)


@pytest.mark.parametrize(('versions', 'change', 'message'), [
    ({}, {}, r'neither .* run pip install "mmcls_repmlp\[mmcls\]"'),
    (MMCLS, MMPRETRAIN, 'mmcls and mmpretrain are both installed: choose one, '
     'and .* pip uninstall mmcls or pip uninstall mmpretrain$'),
    (MMCLS, ONEDL, 'pip uninstall mmcls or pip uninstall onedl-mmpretrain$'),
    (MMCLS, {'mmcls': '0.25.0'}, 'needs mmcls>=1.0.0rc6,<1.1, but 0.25.0 '
     'is installed: run pip install "mmcls>=1.0.0rc6,<1.1"'),
    (MMCLS, {'mmcv-lite': None},
     'but none is installed: run pip install "mmcv-lite>=2.0.0rc4,<2.1"'),
    (MMCLS, {'mmengine': '0.11.0rc3'}, 'needs mmengine>=0.10,<0.11, but 0.'),
    (MMCLS, {'torch': '2.5.1'}, 'needs torch>=2.6, but 2.5.1'),
    (MMPRETRAIN, {'mmcv': '2.4.0'}, 'run pip install "mmcv>=2.0,<2.4"'),
    (ONEDL, {'onedl-mmpretrain': '1.4.0'},
     'run pip install "onedl-mmpretrain>=1.2,<1.4"'),
])  # yapf: disable
def test_what_cannot_be_used_is_said_in_one_sentence(installed, versions,
                                                     change, message):
    installed(versions | change)
    with pytest.raises(ImportError, match=message) as error:
        choice.check_versions(choice.choose_host())
    assert isinstance(error.value, UserError)
    assert '\n' not in str(error.value)


def test_noise_is_silenced_and_nothing_else(capsys):
    with pytest.warns(UserWarning, match='worth reading') as seen, \
            choice.silence_import_warnings():
        warnings.warn('Fail to import ``Something``', stacklevel=1)
        warnings.warn('old', DeprecationWarning, stacklevel=1)
        warnings.warn('worth reading', stacklevel=1)
        print('Could not import OneDL')
        print('printed by a config')
    assert len(seen) == 1
    assert capsys.readouterr().out == 'printed by a config\n'
