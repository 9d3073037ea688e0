import re

import mmengine.visualization
import pytest
from mmengine.config import Config

from mmcls_repmlp.jobs.shared.runner import build_runner
from mmcls_repmlp.jobs.shared.vis_backends import check_vis_backends
from repmlp_lite.errors import ConfigError

NAMES = sorted(
    name for name in dir(mmengine.visualization)
    if re.fullmatch('(?!Base|Local).*VisBackend', name))


def config(*names):
    backends = [dict(type=name) for name in names]
    return Config(dict(visualizer=dict(vis_backends=backends)))


@pytest.fixture
def installed(monkeypatch):
    packages = set()
    monkeypatch.setattr('mmcls_repmlp.jobs.shared.vis_backends.find_spec',
                        lambda name: name if name in packages else None)
    return packages


@pytest.mark.parametrize('name', NAMES)
def test_a_package_that_is_missing_is_named(installed, name):
    package = name.removesuffix('VisBackend').lower()
    said = (f'^mmengine.{name} of the config needs {package}, which is '
            f'not installed: pip install {package}$')
    with pytest.raises(ConfigError, match=said):
        check_vis_backends(config('LocalVisBackend', f'mmengine.{name}'))
    installed.add(package)
    check_vis_backends(config('LocalVisBackend', name))


def test_it_is_asked_for_before_anything_is_built(installed):
    with pytest.raises(ConfigError, match='pip install tensorboard'):
        build_runner(config('TensorboardVisBackend'))


def test_what_is_not_known_is_left_to_mmengine(installed):
    for visualizer in (None, dict(type='Visualizer'), dict(vis_backends=None),
                       dict(vis_backends=[dict(type='OwnVisBackend'), 3])):
        check_vis_backends(Config(dict(visualizer=visualizer)))
