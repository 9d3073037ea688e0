import pytest
import torch
from mmcls.registry import MODELS
from mmengine.runner.checkpoint import load_checkpoint

import mmcls_repmlp  # noqa: F401  (replaces mmengine's loader)
from mmcls_repmlp import RepMLPNet
from mmcls_repmlp.errors import CheckpointError
from tests.helpers import TINY_CFG, assert_same, random_model

ADDRESS = 'https://example.org/weights.pth'


class Hostile:

    def __reduce__(self):
        return exec, ('raise SystemExit("ran code")', )


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A web whose one file is what the test writes to the path it gets."""
    source = tmp_path / 'source.pth'
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    monkeypatch.setattr(
        torch.hub, 'download_url_to_file',
        lambda url, path: source.rename(path))
    return source


def test_a_model_is_loaded_from_a_url(web):
    model = random_model(RepMLPNet, **TINY_CFG)
    torch.save(model.state_dict(), web)
    other = random_model(RepMLPNet, seed=1, **TINY_CFG)
    load_checkpoint(other, ADDRESS)
    assert_same([*other.state_dict().values()],
                [*model.state_dict().values()], 0)


@pytest.mark.parametrize('how', [
    lambda: load_checkpoint(RepMLPNet(**TINY_CFG), ADDRESS),
    lambda: MODELS.build(dict(type='RepMLPNet', **TINY_CFG, init_cfg=dict(
        type='Pretrained', checkpoint=ADDRESS))).init_weights()])
def test_a_hostile_file_does_not_run(web, how):
    torch.save(Hostile(), web)
    with pytest.raises(CheckpointError, match='was not loaded'):
        how()
