import copy
import functools
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmcls_repmlp.host import build_dataset
from mmcls_repmlp.jobs.shared import own_folder as shared_own_folder
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.model import build_on_meta
from mmcls_repmlp.jobs.shared.own_folder import fit_head, use_folder
from mmcls_repmlp.jobs.testing.test import test as run_test
from mmcls_repmlp.jobs.train.train import train
from repmlp_lite.errors import ConfigError, UserError
from tests.helpers import CONFIGS, TINY_CFG

CUSTOM = sorted(CONFIGS.glob('repmlp-*_ft_custom.py'))
read = functools.cache(read_config)
SHAPES = ((40, 64, 3), (64, 40), (50, 50, 4))


@pytest.fixture
def photos(tmp_path):
    """Photos of three kinds, shapes and formats, in a folder for each."""
    numbers = np.random.default_rng(0)
    for label, name in enumerate(('bird', 'cat', 'dog')):
        (tmp_path / 'photos' / name).mkdir(parents=True)
        for i in range(5):
            pixels = numbers.integers(0, 80, SHAPES[i % 3]) + 80 * label
            path = tmp_path / 'photos' / name / f'{i}.png'
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    return tmp_path / 'photos'


def use(folder, options=(), work_dir='work_dirs/a', path=CUSTOM[-1]):
    cfg = copy.deepcopy(read(path))
    cfg.work_dir = str(work_dir)
    # A width that was chosen needs no model to be built.
    use_folder(cfg, folder, ['model.head.in_channels', *options])
    return cfg


def parts(cfg):
    datasets = [
        build_dataset(cfg[f'{phase}_dataloader'].dataset)
        for phase in ('train', 'val', 'test')
    ]
    return [{
        dataset.get_data_info(i)['img_path']
        for i in range(len(dataset))
    } for dataset in datasets]


def phases(paths):
    return {path.split('/')[-3] for path in paths}


@pytest.fixture
def phased(photos, tmp_path):
    """Put the photos into a folder for each purpose."""

    def copied(*names):
        for name in names:
            shutil.copytree(photos, tmp_path / 'all' / name)
        return tmp_path / 'all'

    return copied


@pytest.mark.parametrize('path', CUSTOM, ids=lambda path: path.stem)
def test_classes_are_counted_and_photos_held_out(photos, path, capsys):
    cfg = use(photos, path=path)
    assert cfg.model.head.num_classes == 3
    train_part, val_part, test_part = parts(cfg)
    assert len(train_part) + len(val_part) == 15 and len(val_part) > 0
    assert not train_part & val_part
    assert test_part == val_part
    assert capsys.readouterr().out.startswith(
        '3 classes (bird, cat, dog); about a fifth of the photos')


@pytest.mark.parametrize('names', [('train', 'val', 'test'),
                                   ('Training', 'validation', 'TESTING')])
def test_folders_for_each_purpose_are_used_as_they_are(phased, names):
    cfg = use(phased(*names))
    assert cfg.model.head.num_classes == 3
    for paths, name in zip(parts(cfg), names):
        assert len(paths) == 15 and phases(paths) == {name}


@pytest.mark.parametrize('names', [('val', 'test'), ('train', 'val', 'valid')])
def test_phases_that_are_missing_or_twofold_are_refused(phased, names):
    with pytest.raises(UserError, match='can be read in two ways'):
        use(phased(*names))


def test_a_train_may_be_a_class(photos):
    (photos / 'bird').rename(photos / 'train')
    (photos / 'cat').rename(photos / 'test')
    cfg = use(photos)
    assert cfg.model.head.num_classes == 3
    val = build_dataset(cfg.val_dataloader.dataset)
    assert val.metainfo['classes'] == ('dog', 'test', 'train')


@pytest.mark.parametrize('work_dir', ['photos', 'photos/work/a'])
def test_the_work_folder_becomes_no_class(photos, phased, tmp_path, work_dir):
    with pytest.raises(UserError, match='would become a class of.*work_dir'):
        use(photos, work_dir=tmp_path / work_dir)
    use(phased('train'), work_dir=tmp_path / 'all' / 'work')


@pytest.mark.parametrize('key', [
    'val_dataloader.dataset.data_root', 'train_dataloader.dataset',
    'test_dataloader', 'model.head.num_classes'
])
def test_settings_of_data_that_are_not_used_are_refused(photos, key):
    with pytest.raises(UserError, match=f"'{key}' would have no effect"):
        use(photos, [key])
    use(photos, [
        'val_dataloader.dataset.pipeline.1.scale', 'val_dataloader.batch_size',
        'model.head.loss.type'
    ])


def test_something_must_be_held_out(photos):
    train_part, val_part, _ = parts(use(photos))
    for path in val_part:
        Path(path).unlink()
    cfg = use(photos)
    assert len(build_dataset(cfg.train_dataloader.dataset)) == len(train_part)
    with pytest.raises(ConfigError, match='falls to val,.*no_validate'):
        build_dataset(cfg.val_dataloader.dataset)


@pytest.mark.parametrize(('name', 'words'), [
    ('bird/0.png', 'is not a folder: give one'),
    ('bird', 'has fewer than two subfolders .none.: put the'),
    ('.', 'has fewer than two subfolders .bird.: put the'),
])
def test_folders_without_classes_are_refused(photos, name, words):
    (photos / 'cat').rename(photos / '.hidden')
    shutil.rmtree(photos / 'dog')
    with pytest.raises(UserError, match=words):
        use(photos / name)


def test_a_config_without_image_files_is_refused(photos):
    cifar = CONFIGS / 'repmlp-cifar_1xb128_cifar10.py'
    with pytest.raises(ConfigError, match='train data of the config are no'):
        use(photos, path=cifar)


def test_a_wrapped_data_set_is_not_replaced(photos):
    cfg = copy.deepcopy(read(TINY))
    cfg.work_dir = 'work_dirs/a'
    cfg.train_dataloader.dataset = dict(
        type='RepeatDataset', times=2, dataset=cfg.train_dataloader.dataset)
    with pytest.raises(ConfigError, match="wrapped in 'RepeatDataset', which"):
        use_folder(cfg, photos, ['model.head.in_channels'])


TINY = CUSTOM[-1]
RESNET = CONFIGS / 'repmlp-resnet50-light-g8_ft_custom.py'


@pytest.mark.parametrize(
    ('path', 'backbone', 'width'),
    [(TINY, dict(arch='D', img_size=256), 640),
     (TINY, dict(out_indices=(0, 2)), 256),
     (TINY, dict(out_indices=(1, ), out_after_downsample=True), 256),
     (RESNET, dict(base_channels=32), 1024)])
def test_a_head_is_as_wide_as_its_input(path, backbone, width):
    cfg = copy.deepcopy(read(path))
    cfg.model.backbone.update(backbone)
    fit_head(cfg)
    assert cfg.model.head.in_channels == width
    assert build_on_meta(cfg).head.fc.in_features == width


@pytest.mark.parametrize(('options', 'changes'), [
    (['model.head.in_channels'], {}),
    ([], dict(neck=dict(type='HRFuseScales', in_channels=(512, )))),
    ([], dict(backbone=dict(type='ResNet', depth=18, _delete_=True))),
])
def test_a_width_that_was_chosen_or_is_unknown_stays(options, changes):
    cfg = copy.deepcopy(read(TINY))
    cfg.merge_from_dict({f'model.{key}': new for key, new in changes.items()})
    cfg.model.head.in_channels = 3
    fit_head(cfg, options)
    assert cfg.model.head.in_channels == 3


def test_one_epoch_on_own_photos_and_the_checkpoint_alone(
        photos, work_dir, capsys):
    options = {
        f'{phase}_dataloader.{key}': value
        for phase in ('train', 'val', 'test')
        for key, value in dict(num_workers=0, batch_size=4).items()
    } | {
        'model.backbone': dict(type='RepMLPNet', **TINY_CFG, _delete_=True),
        'train_cfg.max_epochs': 1
    }
    train(CUSTOM[-1], work_dir, data=photos, cfg_options=options)
    scores = run_test(None, work_dir, metrics=('accuracy', ), verbose=False)
    assert 0 <= scores['accuracy/top1'] <= 100
    assert ' of 15 images to test on, in ' in capsys.readouterr().out
    # What was held out of these photos means nothing in others.
    new = shutil.copytree(photos, photos.parent / 'new')
    run_test(
        None,
        work_dir,
        cfg_options={'test_dataloader.dataset.data_root': str(new)},
        verbose=False)
    out, err = capsys.readouterr()
    assert f' 15 images to test on, in {new}\n' in out
    assert 'tested 15 images' in out
    assert f"test_dataloader takes all images of '{new}'" in err


def test_a_whole_folder_is_tested_or_its_own_part(photos, phased):

    def tested(folder):
        cfg = read_config(CUSTOM[0])
        shared_own_folder.use_test_folder(cfg, folder)
        return build_dataset(cfg.test_dataloader.dataset)

    assert len(tested(photos)) == len([*photos.rglob('*.png')])
    whole = phased('train', 'val', 'test')
    assert len(tested(whole)) == len([*(whole / 'test').rglob('*.png')])
    shutil.rmtree(whole / 'test')
    assert len(tested(whole)) == len([*(whole / 'val').rglob('*.png')])
    shutil.rmtree(whole / 'val')
    with pytest.raises(UserError, match='no subfolder test or val .*train'):
        tested(whole)
    with pytest.raises(UserError, match="'no' is not a folder"):
        tested('no')


def test_a_neck_of_several_modules_keeps_the_width_of_the_head(photos):
    faces = CONFIGS / 'repmlp-faceresnet-mini_1xb64_digits-32px.py'
    cfg = copy.deepcopy(read(faces))
    cfg.work_dir = 'work_dirs/a'
    before = cfg.model.head.in_channels
    use_folder(cfg, photos)
    assert cfg.model.head.in_channels == before
    assert cfg.model.head.num_classes == 3
