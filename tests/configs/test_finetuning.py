"""Fine-tuning as the configs and docs/finetuning.md describe it."""
import pytest
import torch
from make_digits import write_digits

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.train.train import train
from tests.helpers import CONFIGS, quick_loaders


@pytest.fixture(scope='module')
def tuned(project, tmp_path_factory):
    """Digits 6 to 9, from a model that was trained for two short epochs."""
    folder = tmp_path_factory.mktemp('finetuning')
    data = write_digits(folder / 'data', (6, 7, 8, 9))
    for label in (data / 'train').iterdir():
        for image in sorted(label.iterdir())[40:]:
            image.unlink()
    train(
        CONFIGS / 'repmlp-mini_ft-1xb64_digits-6to9-32px.py',
        str(folder / 'work'),
        cfg_options={
            **quick_loaders(data, batch_size=16), 'train_cfg.max_epochs': 3,
            'model.backbone.init_cfg.checkpoint': str(project.trained)
        })
    return read_checkpoint(folder / 'work' / 'epoch_3.pth')


def test_it_learns_the_new_classes(tuned):
    scores = tuned['message_hub']['log_scalars']['val/accuracy/top1'][
        'log_history']
    assert scores[-1] > 50  # by chance 25, and 90 wherever it was tried
    assert tuned['meta']['dataset_meta']['classes'] == tuple('6789')
    assert tuned['state_dict']['head.fc.weight'].shape == (4, 128)


def test_frozen_stages_stay_and_all_else_moves(tuned, project):
    before = read_checkpoint(project.trained)['state_dict']
    for key, value in tuned['state_dict'].items():
        frozen = key.startswith(
            ('backbone.patch_embed.', 'backbone.stages.0.'))
        if not key.startswith('head.') and 'num_batches' not in key:
            assert torch.equal(value, before[key]) is frozen, key


def test_layers_learn_at_falling_rates(tuned):
    groups = tuned['optimizer']['param_groups']
    rates = sorted({group['initial_lr'] for group in groups})
    # Below the head: one block, two blocks, and no first stage.
    assert rates == pytest.approx([2e-3 * 0.8**n for n in (3, 2, 1, 0)])


def test_one_setting_makes_room_for_other_classes_and_sizes():
    cfg = read_config(CONFIGS / 'repmlp-base_ft-8xb32_custom.py')
    assert cfg.model.head.pop('num_classes') == 5
    assert 'num_classes' not in cfg.pretty_text
    assert cfg.model.backbone.init_cfg.prefix == 'backbone.'
    cfg = read_config(CONFIGS / 'repmlp-mini_ft-1xb64_digits-48px.py')
    for name in ('train', 'val', 'test'):
        pipeline = cfg[f'{name}_dataloader'].dataset.pipeline
        assert pipeline[1].scale == cfg.model.backbone.img_size == 48
