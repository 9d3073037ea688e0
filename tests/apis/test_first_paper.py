"""Every job of a user, on the first paper's models."""
import json

import numpy as np
import pytest

from mmcls_repmlp.apis.export import export_checkpoint
from mmcls_repmlp.apis.test import test as run_test
from mmcls_repmlp.apis.train import train
from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.deploy.exported.load_exported import load_exported
from tests.helpers import write_config
from tests.programs import call
from tests.tools.test_tools import CONVERT

BACKBONES = {
    'light': dict(
        type='RepMLPResNet',
        depth=(1, 2, 2),
        block='light',
        base_channels=8,
        partition_size=2,
        num_groups=(1, 2),
        out_indices=(2, )),
    'cifar': dict(type='RepMLPCifarNet', channels=(4, 8, 16)),
}
CHANNELS = dict(light=128, cifar=16)


@pytest.fixture(scope='module', params=BACKBONES)
def trained(request, project, tmp_path_factory):
    """Training and deploy config, and a checkpoint of each."""
    folder = tmp_path_factory.mktemp(request.param)
    configs = [
        write_config(
            folder / f'{name}.py',
            project.config,
            model=dict(
                backbone=dict(
                    BACKBONES[request.param],
                    _delete_=True,
                    img_size=32,
                    deploy=name == 'deploy'),
                head=dict(in_channels=CHANNELS[request.param])),
            train_cfg=dict(max_epochs=4),
            optim_wrapper=dict(optimizer=dict(lr=1e-2)),
            default_hooks=dict(logger=dict(interval=1)))
        for name in ('training', 'deploy')
    ]
    train(configs[0], work_dir=str(folder / 'work'), seed=0)
    source, merged = folder / 'work' / 'epoch_4.pth', folder / 'merged.pth'
    assert call(CONVERT, configs[0], source, merged) == 0
    return [*zip(configs, (source, merged))]


def test_training_lowers_the_loss(trained):
    losses = read_checkpoint(
        trained[0][1])['message_hub']['log_scalars']['train/loss'].data[0]
    assert sum(losses[-3:]) < sum(losses[:3])  # the last and the first epoch


def test_both_forms_score_the_same(trained, work_dir):
    results = [
        run_test(*pair, ['accuracy'], work_dir=work_dir) for pair in trained
    ]
    # One of twenty images may hang in the balance, which rounding decides.
    assert results[0] == pytest.approx(results[1], abs=5)


def test_both_forms_are_exported(trained, tmp_path):
    outputs = []
    images = np.random.default_rng(0).normal(size=(3, 3, 32, 32))
    for i, pair in enumerate(trained):
        out = tmp_path / f'{i}.pt'
        assert export_checkpoint(*pair, out) < 1e-3
        card = json.loads((tmp_path / f'{i}.pt.json').read_text())
        assert card['input_shape'] == [3, 32, 32]
        outputs.append(load_exported(out)(images.astype(np.float32)))
    np.testing.assert_allclose(*outputs, atol=1e-4 * np.abs(outputs[0]).max())
