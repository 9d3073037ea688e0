import copy
import functools
import shutil

import numpy as np
import pytest
from PIL import Image

from mmcls_repmlp.host import build_dataset
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.test.test import test as run_test
from mmcls_repmlp.jobs.train import own_folder
from mmcls_repmlp.jobs.train.own_folder import use_folder
from mmcls_repmlp.jobs.train.train import train
from mmcls_repmlp.recipe.datasets import ImageFolder
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


def use(folder, options=None, work_dir='work_dirs/a', path=CUSTOM[-1]):
    cfg = copy.deepcopy(read(path))
    cfg.work_dir = str(work_dir)
    use_folder(cfg, folder, options)
    return cfg


def parts(cfg):
    found = []
    for phase in ('train', 'val', 'test'):
        dataset = build_dataset(cfg[f'{phase}_dataloader'].dataset)
        infos = map(dataset.get_data_info, range(len(dataset)))
        found.append({info['img_path'] for info in infos})
    return found


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
def test_classes_are_counted_and_a_fifth_is_held_out(photos, path,
                                                     monkeypatch):
    said = []
    monkeypatch.setattr(own_folder, 'say', said.append)
    cfg = use(photos, path=path)
    assert cfg.model.head.num_classes == 3
    train_part, val_part, test_part = parts(cfg)
    assert len(train_part) == 12 and len(val_part) == 3
    assert not train_part & val_part
    assert test_part == val_part
    assert said[0].startswith('3 classes (bird, cat, dog); a fifth of each')


def test_there_is_a_config_for_every_size():
    assert [
        path.stem.split('_')[0].split('-')[1] for path in CUSTOM
        if 'deploy' not in path.stem
    ] == ['deep', 'large', 'resnet50', 'tiny']


def test_without_val_a_part_of_train_is_held_out(phased):
    found = parts(use(phased('train')))
    assert [len(paths) for paths in found] == [12, 3, 3]
    assert phases(found[1]) == {'train'}


@pytest.mark.parametrize('names', [('train', 'val', 'test'),
                                   ('Train', 'Val', 'Test'),
                                   ('training', 'validation', 'testing'),
                                   ('TRAIN', 'valid', 'test')])
def test_folders_for_each_purpose_are_used_as_they_are(phased, names):
    cfg = use(phased(*names))
    assert cfg.model.head.num_classes == 3
    for paths, name in zip(parts(cfg), names):
        assert len(paths) == 15 and phases(paths) == {name}


@pytest.mark.parametrize('names', [('val', 'test'), ('validation', ),
                                   ('train', 'val', 'valid')])
def test_phases_that_are_missing_or_twofold_are_refused(phased, names):
    with pytest.raises(UserError, match=f'has the subfolders .*{names[-1]}'):
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


def test_settings_of_data_that_are_not_used_are_refused(photos):
    key = 'val_dataloader.dataset.data_root'
    with pytest.raises(UserError, match=f"'{key}' would change nothing"):
        use(photos, {key: 'a'})
    scale = 'val_dataloader.dataset.pipeline.1.scale'
    use(photos, {scale: 64, 'val_dataloader.batch_size': 2})
    use(None, {key: 'a'})


def test_no_class_with_an_image_to_hold_out_is_said(photos):
    for path in photos.glob('*/[1-9].png'):
        path.unlink()
    cfg = use(photos)
    assert len(build_dataset(cfg.train_dataloader.dataset)) == 3
    with pytest.raises(ConfigError, match='has two images.*no_validate'):
        build_dataset(cfg.val_dataloader.dataset)


def test_what_is_no_such_folder_is_said(photos, tmp_path):
    (tmp_path / 'one' / 'a').mkdir(parents=True)
    (tmp_path / 'one' / '.hidden').mkdir()
    for folder, words in ((photos / 'bird' / '0.png',
                           'is no folder: give one'),
                          (photos / 'bird',
                           'has no two subfolders .none.: put the'),
                          (tmp_path / 'one',
                           'has no two subfolders .a.: put the')):
        with pytest.raises(UserError, match=words):
            use(folder)
    cifar = CONFIGS / 'repmlp-cifar_1xb128_cifar10.py'
    with pytest.raises(ConfigError, match='train data of the config are no'):
        use(photos, path=cifar)


def test_other_parts_are_refused(photos):
    with pytest.raises(ConfigError, match="one of train and val, but is 'x'"):
        ImageFolder(data_prefix=str(photos), part='x')


def test_one_epoch_on_own_photos_and_the_checkpoint_alone(photos, work_dir):
    loaders = {
        f'{phase}_dataloader.{key}': value
        for phase in ('train', 'val', 'test')
        for key, value in dict(num_workers=0, batch_size=4).items()
    }
    backbone = dict(type='RepMLPNet', **TINY_CFG, _delete_=True)
    train(
        CONFIGS / 'repmlp-tiny_ft_custom.py',
        work_dir,
        data=photos,
        cfg_options={
            **loaders, 'model.backbone': backbone,
            'train_cfg.max_epochs': 1
        })
    scores = run_test(None, work_dir, metrics=('accuracy', ))
    assert 0 <= scores['accuracy/top1'] <= 100
