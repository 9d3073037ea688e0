"""Metric learning, with digits for identities, from training to pairs."""
import shutil

import numpy as np
import pytest
import torch

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.jobs.export.export import export_checkpoint
from mmcls_repmlp.jobs.reparameterize_model import reparameterize_checkpoint
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.model import build_model
from mmcls_repmlp.jobs.testing.test import test as run_test
from mmcls_repmlp.jobs.train.train import train
from mmcls_repmlp.jobs.verify_pairs import verify_pairs
from repmlp_lite.errors import UserError
from repmlp_lite.exported.load_exported import load_exported
from tests.helpers import quick_loaders, write_config
from tests.programs import call


@pytest.fixture(scope='module')
def configs(tmp_path_factory, digits):
    folder = tmp_path_factory.mktemp('faces')
    loaders = quick_loaders(digits, batch_size=8)
    for phase in ('val', 'test'):  # on more images than those are
        loaders[f'{phase}_dataloader'] = dict(
            loaders[f'{phase}_dataloader'],
            dataset=dict(data_root=str(digits), data_prefix='train'))
    return [
        write_config(
            folder / f'config{form}.py',
            f'repmlp-faceresnet-mini{form}_1xb64_digits-32px.py',
            **loaders,
            train_cfg=dict(max_epochs=5, val_interval=5))
        for form in ('', '_deploy')
    ]


def test_train_merge_and_verify(configs, tmp_path, work_dir):
    config, deploy = configs
    train(config, work_dir=work_dir, seed=0)
    trained, merged = f'{work_dir}/epoch_5.pth', tmp_path / 'merged.pth'
    scalars = read_checkpoint(trained)['message_hub']['log_scalars']
    losses = scalars['train/loss']['log_history']
    assert sum(losses[-5:]) < sum(losses[:5])  # the last and the first epoch
    reparameterize_checkpoint(config, trained, merged)
    scores = [
        run_test(*pair, work_dir=work_dir)
        for pair in ((config, trained), (deploy, merged))
    ]
    # Rounding may change the order of a few of all pairs, and no more.
    areas = [score['verification/roc_area'] for score in scores]
    found = verify_pairs(deploy, merged)
    assert areas == pytest.approx([100 * found.roc.area] * 2, abs=0.1)


def test_the_exported_file_gives_unit_vectors(configs, digits, tmp_path,
                                              capsys):
    checkpoint, out = tmp_path / 'a.pth', tmp_path / 'a.pt2'
    model = build_model(read_config(configs[0]))
    torch.save(model.state_dict(), checkpoint)
    export_checkpoint(configs[0], checkpoint, out, with_preprocess=True)
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)
    vectors = load_exported(out, trust=True)(images)
    assert vectors.shape == (2, 32)
    np.testing.assert_allclose((vectors**2).sum(1), 1, rtol=1e-5)
    image = next(digits.glob('val/*/*.png'))
    assert call('predict', out, image, '--trust') == 2
    assert 'gives embeddings, not classes' in capsys.readouterr().err
    with pytest.raises(UserError, match='int8 is compared with'):
        int8 = dict(precision='int8', calibrate=digits / 'train')
        export_checkpoint(configs[0], checkpoint, tmp_path / 'b.onnx', **int8)


def test_identities_may_be_others_than_those_trained_on(
        configs, digits, tmp_path, work_dir):
    for label in ('7', '8', '9'):
        shutil.copytree(digits / 'train' / label, tmp_path / 'train' / label)
    others = {
        'val_dataloader.dataset.data_root': str(tmp_path),
        'train_cfg.max_epochs': 1,
        'train_cfg.val_interval': 1
    }
    train(configs[0], work_dir, seed=0, cfg_options=others)
