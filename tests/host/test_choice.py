import pytest

from mmcls_repmlp.errors import HostError, UserError
from mmcls_repmlp.host import choice

MMCLS = {'mmcls': '1.0.0rc6', 'mmcv-lite': '2.0.1'}
MMPRETRAIN = {'mmpretrain': '1.2.0', 'mmcv': '2.2.0'}
ONEDL = {
    'onedl-mmpretrain': '1.3.6',
    'onedl-mmcv': '2.3.6',
    'onedl-mmengine': '0.10.12'
}


@pytest.fixture
def installed(monkeypatch):
    """Pretend that some versions are installed, beside torch and mmengine."""

    def install(versions):
        found = {'torch': '2.13.0+cpu', **versions}
        if 'onedl-mmengine' not in found:
            found.setdefault('mmengine', '0.10.7')

        def version(name):
            if found.get(name) is None:
                raise choice.PackageNotFoundError(name)
            return found[name]

        monkeypatch.setattr(choice, 'version', version)

    return install


# Every kind of mmcv and of mmengine will do.
@pytest.mark.parametrize(('versions', 'host'), [
    (MMCLS, 'mmcls'),
    (dict(mmcls='1.0.0rc6', mmcv='2.0.0rc4'), 'mmcls'),
    (MMPRETRAIN, 'mmpretrain'),
    (ONEDL, 'mmpretrain'),
    ({
        'mmpretrain': '1.2.0',
        'mmcv-lite': '2.1.0',
        'mmengine': None,
        'mmengine-lite': '0.10.5'
    }, 'mmpretrain'),
])
def test_what_is_installed_is_chosen(installed, versions, host):
    installed(versions)
    assert choice.choose_host() == host
    choice.check_versions(host)


@pytest.mark.parametrize(('versions', 'message'), [
    ({}, r'neither is installed: run pip install "mmcls_repmlp\[mmcls\]"'),
    (MMCLS | MMPRETRAIN,
     'mmcls and mmpretrain are both installed: choose one, and .* '
     'pip uninstall mmcls or pip uninstall mmpretrain$'),
    (ONEDL | MMCLS, 'pip uninstall mmcls or pip uninstall onedl-mmpretrain$'),
])
def test_none_or_both_are_no_choice(installed, versions, message):
    installed(versions)
    with pytest.raises(UserError, match=message) as error:
        choice.choose_host()
    assert isinstance(error.value, ImportError)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(('versions', 'package', 'version', 'message'), [
    (MMCLS, 'mmcls', '0.25.0', r'needs mmcls>=1.0.0rc6,<1.1, but 0.25.0 is '
     r'installed: run pip install "mmcls>=1.0.0rc6,<1.1"'),
    (MMCLS, 'mmcv-lite', '2.1.0', 'needs mmcv>=2.0.0rc4,<2.1, but 2.1.0 is '
     'installed: run pip install "mmcv-lite>=2.0.0rc4,<2.1"'),
    (MMCLS, 'mmcv-lite', None, 'but none is installed: run pip install '
     '"mmcv-lite>='),
    (MMCLS, 'mmengine', '0.11.0rc3', 'needs mmengine>=0.10,<0.11, but 0.11.0'),
    (MMCLS, 'torch', '2.5.1', r'needs torch>=2.6, but 2.5.1'),
    (MMPRETRAIN, 'mmpretrain', '1.0.0', 'needs mmpretrain>=1.2,<1.4, but 1.0'),
    (MMPRETRAIN, 'mmcv', '2.4.0', 'run pip install "mmcv>=2.0,<2.4"'),
    (ONEDL, 'onedl-mmpretrain', '1.4.0',
     'run pip install "onedl-mmpretrain>=1.2,<1.4"'),
])
def test_other_versions_are_refused_in_one_sentence(installed, versions,
                                                    package, version, message):
    installed({**versions, package: version})
    with pytest.raises(HostError, match=message) as error:
        choice.check_versions(choice.choose_host())
    assert '\n' not in str(error.value)
