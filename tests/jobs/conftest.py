"""What tests of several jobs look at on the way."""
import copy
import sys

import pytest


@pytest.fixture
def seen(monkeypatch, tmp_path):
    """Run a job up to the config that it would build a runner of."""
    monkeypatch.chdir(tmp_path)  # where the work dir goes
    configs = []

    class StoppedError(Exception):
        pass

    def build(cfg, *_):
        configs.append(copy.deepcopy(cfg))
        raise StoppedError

    def run(job, *args, **kwargs):
        monkeypatch.setattr(sys.modules[job.__module__], 'build_runner', build)
        with pytest.raises(StoppedError):
            job(*args, **kwargs)
        return configs[-1]

    return run


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A file where a test runs, which stays as it is and the only picture."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'old.png'
    path.write_text('precious')
    yield path
    assert path.read_text() == 'precious'
    assert [*tmp_path.rglob('*.png')] == [path]
