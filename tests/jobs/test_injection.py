"""Every job of a user, on a network of his own with locality injected."""
from pathlib import Path

import pytest
import torch
from torch import nn

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.host import MODELS, BaseBackbone
from mmcls_repmlp.jobs.export.export import export_checkpoint
from mmcls_repmlp.jobs.reparameterize_model import reparameterize_checkpoint
from mmcls_repmlp.jobs.testing.test import test as run_test
from mmcls_repmlp.jobs.train.train import train
from repmlp_lite.errors import ConfigError, UserError
from tests.helpers import assert_same, load_model, write_config
from tests.programs import call

HOOK = dict(type='InjectLocality', layers={'backbone.mix*': (8, 8)})


@MODELS.register_module(force=True)
class TinyMixer(BaseBackbone):
    """A user's own backbone: 8x8 positions of 32x32 pixels."""

    def __init__(self, width=12):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.patches.img_size = 32
        self.mix1, self.mix2 = nn.Linear(64, 64), nn.Linear(64, 64)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x):
        x = self.patches(x)
        for mix in (self.mix1, self.mix2):
            x = x + mix(x.flatten(2)).view_as(x).relu()
        return (self.norm(x), )


@pytest.fixture
def config(project, tmp_path):

    def write(name='mixer.py', **settings):
        return write_config(
            tmp_path / name,
            project.config,
            model=dict(
                backbone=dict(type='TinyMixer', _delete_=True),
                head=dict(in_channels=12)),
            **settings)

    return write


def test_trained_tested_merged_and_exported(config, tmp_path, work_dir):
    injected = config(custom_hooks=[HOOK])
    train(injected, work_dir, epochs=2, no_test=True)
    trained = Path(work_dir, 'epoch_2.pth')
    names = read_checkpoint(trained)['state_dict'].keys()
    assert 'backbone.mix1.repconv3.conv.weight' in names
    model = load_model(injected, trained)
    assert type(model.backbone.mix2).__name__ == 'LocalLinear'
    assert model.backbone.mix1.repconv3.norm.weight != 0  # it was trained
    merged = tmp_path / 'merged.pth'
    reparameterize_checkpoint(None, trained, merged)
    plain = load_model(config('plain.py'), merged)  # strictly
    assert type(plain.backbone.mix1) is nn.Linear
    images = torch.randn(2, 3, 32, 32)
    assert_same(
        plain(images, mode='tensor'), model(images, mode='tensor'), 1e-4)
    # The config beside it is of the plain network; all commands go on.
    scores = [run_test(None, path, work_dir=work_dir)
              for path in (trained, merged)]  # yapf: disable
    assert scores[0] == pytest.approx(scores[1], abs=5)
    assert call('flops', merged.with_suffix('.py')) == 0
    with pytest.raises(UserError, match='cannot be exported'):
        export_checkpoint(None, merged, tmp_path / 'a.pt2')  # not ours


def test_resumed_and_started_from_the_plain_network(config, work_dir,
                                                    tmp_path):
    plain = config('plain.py')
    train(plain, work_dir, epochs=1, no_test=True)
    start = f'{work_dir}/epoch_1.pth'
    assert 'repconv' not in str([*read_checkpoint(start)['state_dict']])
    injected = config(custom_hooks=[HOOK], load_from=start)
    other = str(tmp_path / 'other')
    train(injected, other, epochs=1, no_test=True)
    train(injected, other, epochs=2, resume='auto', new_schedule=True,
          no_test=True)  # yapf: disable
    assert Path(other, 'epoch_2.pth').exists()
    # A checkpoint of the plain network is tested as it is.
    assert run_test(injected, start, work_dir=other)
    # The branches have learned as all else has.
    state = read_checkpoint(f'{other}/epoch_2.pth')['optimizer']['state']
    assert len(state) == len(
        [*load_model(injected, f'{other}/epoch_2.pth').parameters()])


def test_a_wrong_layer_is_a_sentence_before_anything(config, work_dir):
    wrong = dict(HOOK, layers={'backbone.mix*': (8, 9)})
    words = 'InjectLocality of custom_hooks fails: backbone.mix1 cannot take'
    with pytest.raises(ConfigError, match=words):
        train(config(custom_hooks=[wrong]), work_dir)
    assert not [*Path(work_dir).glob('*.p*')]
