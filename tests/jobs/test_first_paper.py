"""Every job of a user, on the first paper's models."""
import pytest

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.jobs.export.export import export_checkpoint
from mmcls_repmlp.jobs.reparameterize_model import reparameterize_checkpoint
from mmcls_repmlp.jobs.testing.test import test as run_test
from mmcls_repmlp.jobs.train.train import train
from tests.helpers import write_config

BACKBONES = {
    'light': dict(
        type='RepMLPResNet',
        depth=(1, 1, 1),
        block='light',
        base_channels=8,
        partition_size=2,
        num_groups=(1, 2),
        out_indices=(2, )),
    'cifar': dict(type='RepMLPCifarNet', channels=(4, 8, 16), depth=1),
}
CHANNELS = dict(light=128, cifar=16)


@pytest.mark.parametrize('name', BACKBONES)
def test_train_merge_score_and_export(project, tmp_path, work_dir, name):
    training, deploy = (
        write_config(
            tmp_path / f'deploy_{deploy}.py',
            project.config,
            model=dict(
                backbone=dict(
                    BACKBONES[name], _delete_=True, img_size=32,
                    deploy=deploy),
                head=dict(in_channels=CHANNELS[name])),
            train_cfg=dict(max_epochs=4),
            optim_wrapper=dict(optimizer=dict(lr=1e-2)),
            default_hooks=dict(logger=dict(interval=1)))
        for deploy in (False, True))
    train(training, work_dir, seed=0, no_test=True)
    trained, merged = f'{work_dir}/epoch_4.pth', tmp_path / 'merged.pth'
    losses = read_checkpoint(
        trained)['message_hub']['log_scalars']['train/loss']['log_history']
    assert sum(losses[-3:]) < sum(losses[:3])  # the last and the first epoch

    reparameterize_checkpoint(training, trained, merged)
    pairs = (training, trained), (deploy, merged)
    scores = [
        run_test(*pair, metrics=['accuracy'], work_dir=work_dir)
        for pair in pairs
    ]
    # One of twenty images may hang in the balance, which rounding decides.
    assert scores[0] == pytest.approx(scores[1], abs=5)

    assert export_checkpoint(deploy, merged, tmp_path / 'a.pt2') < 1e-3
