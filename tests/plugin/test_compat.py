import re
import subprocess
import sys
import warnings

import pytest

from mmcls_repmlp.plugin import compat


@pytest.fixture
def versions(monkeypatch):
    found = dict(
        torch='2.13.0+cpu',
        mmengine='0.10.7',
        mmcls='1.0.0rc6',
        **{'mmcv-lite': '2.0.1'})

    def version(name):
        if name not in found:
            raise compat.PackageNotFoundError(name)
        return found[name]

    monkeypatch.setattr(compat, 'version', version)
    return found


def test_supported_versions(versions):
    compat.check_versions()
    versions['mmcv'] = '2.0.0rc4'
    del versions['mmcv-lite']
    compat.check_versions()


@pytest.mark.parametrize(('package', 'version', 'message'), [
    ('mmcls', '0.25.0', r'needs mmcls>=1.0.0rc6,<1.1, but 0.25.0 is '
     r'installed: run pip install "mmcls>=1.0.0rc6,<1.1"'),
    ('mmcv-lite', '2.1.0', 'needs mmcv>=2.0.0rc4,<2.1, but 2.1.0'),
    ('mmengine', '0.11.0rc3', 'needs mmengine>=0.10,<0.11, but 0.11.0rc3'),
    ('torch', '2.5.1', r'needs torch>=2.6, but 2.5.1'),
    ('mmcls', None, 'but none is installed'),
])
def test_other_versions_are_refused_in_one_sentence(versions, package, version,
                                                    message):
    versions.pop(package)
    if version:
        versions[package] = version
    with pytest.raises(ImportError, match=message) as error:
        compat.check_versions()
    assert '\n' not in str(error.value)


def test_noise_is_silenced_and_nothing_else():
    with pytest.warns(UserWarning, match='worth reading') as seen, \
            compat.without_import_noise():
        warnings.warn('Fail to import ``Something``', stacklevel=1)
        warnings.warn('old', DeprecationWarning, stacklevel=1)
        warnings.warn('worth reading', stacklevel=1)
    assert len(seen) == 1


def test_importing_the_package_prints_nothing():
    done = subprocess.run([sys.executable, '-c', 'import mmcls_repmlp'],
                          capture_output=True,
                          text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


def test_what_mmengine_warns_of_as_it_runs_is_not_shown():
    code = ('import mmcls_repmlp, warnings; '
            'from mmengine.utils import dl_utils, get_installed_path; '
            'warnings.simplefilter("default", append=True); '
            'get_installed_path("mmcls"); dl_utils.mmcv_full_available(); '
            'warnings.warn("other", DeprecationWarning)')
    done = subprocess.run([sys.executable, '-c', code],
                          capture_output=True,
                          text=True)
    assert re.findall(r'\w+Warning: .*',
                      done.stderr) == ['DeprecationWarning: other']
