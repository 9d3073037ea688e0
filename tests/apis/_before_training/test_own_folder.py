import shutil

import numpy as np
import pytest
from PIL import Image

from mmcls_repmlp.apis._before_training import own_folder
from mmcls_repmlp.apis._before_training.own_folder import use_folder
from mmcls_repmlp.apis._shared.config import read_config
from mmcls_repmlp.apis.test import test as run_test
from mmcls_repmlp.apis.train import train
from mmcls_repmlp.errors import ConfigError, UserError
from mmcls_repmlp.host import build_dataset
from mmcls_repmlp.training.datasets import CustomDataset
from tests.helpers import CONFIGS, TINY

CUSTOM = sorted(CONFIGS.glob('repmlp-*_ft_custom.py'))
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


def made(work_dir='work_dirs/a', path=CUSTOM[-1]):
    cfg = read_config(path)
    cfg.work_dir = str(work_dir)
    return cfg


def parts(cfg):
    found = {}
    for phase in ('train', 'val', 'test'):
        dataset = build_dataset(cfg[f'{phase}_dataloader'].dataset)
        found[phase] = {
            dataset.get_data_info(i)['img_path']
            for i in range(len(dataset))
        }
    return found


@pytest.mark.parametrize('path', CUSTOM, ids=lambda path: path.stem)
def test_classes_are_counted_and_a_fifth_is_held_out(photos, path,
                                                     monkeypatch):
    said = []
    monkeypatch.setattr(own_folder, 'say', said.append)
    cfg = made(path=path)
    use_folder(cfg, photos)
    assert cfg.model.head.num_classes == 3
    found = parts(cfg)
    assert len(found['train']) == 12 and len(found['val']) == 3
    assert not found['train'] & found['val']
    assert found['test'] == found['val']
    assert said[0].startswith('3 classes (bird, cat, dog); a fifth of each')


def test_there_is_a_config_for_every_size():
    assert [
        path.stem.split('_')[0].split('-')[1] for path in CUSTOM
        if 'deploy' not in path.stem
    ] == ['deep', 'large', 'resnet50', 'tiny']


def test_folders_for_each_purpose_are_used_as_they_are(photos, tmp_path):
    for split in ('train', 'val', 'test'):
        shutil.copytree(photos, tmp_path / 'all' / split)
    cfg = made()
    use_folder(cfg, tmp_path / 'all')
    for phase, paths in parts(cfg).items():
        assert len(paths) == 15
        assert {path.split('/')[-3] for path in paths} == {phase}


def test_without_val_a_part_of_train_is_held_out(photos, tmp_path):
    shutil.copytree(photos, tmp_path / 'all' / 'train')
    cfg = made()
    use_folder(cfg, tmp_path / 'all')
    found = parts(cfg)
    assert len(found['train']) == 12 and len(found['val']) == 3
    assert {path.split('/')[-3] for path in found['val']} == {'train'}


@pytest.mark.parametrize('names', [('Train', 'Val', 'Test'),
                                   ('training', 'validation', 'testing'),
                                   ('TRAIN', 'valid', 'test')])
def test_phases_may_be_spelled_otherwise(photos, tmp_path, names):
    for name in names:
        shutil.copytree(photos, tmp_path / 'all' / name)
    cfg = made()
    use_folder(cfg, tmp_path / 'all')
    assert cfg.model.head.num_classes == 3
    for paths, name in zip(parts(cfg).values(), names):
        assert len(paths) == 15
        assert {path.split('/')[-3] for path in paths} == {name}


@pytest.mark.parametrize('names', [('val', 'test'), ('validation', ),
                                   ('train', 'val', 'valid')])
def test_phases_that_are_missing_or_twofold_are_refused(
        photos, tmp_path, names):
    for name in names:
        shutil.copytree(photos, tmp_path / 'all' / name)
    with pytest.raises(UserError, match=f'has the subfolders .*{names[-1]}'):
        use_folder(made(), tmp_path / 'all')


def test_a_train_may_be_a_class(photos):
    (photos / 'bird').rename(photos / 'train')
    (photos / 'cat').rename(photos / 'test')
    cfg = made()
    use_folder(cfg, photos)
    assert cfg.model.head.num_classes == 3
    assert build_dataset(
        cfg.val_dataloader.dataset).metainfo['classes'] == ('dog', 'test',
                                                            'train')


@pytest.mark.parametrize('work_dir', ['photos', 'photos/work/a'])
def test_the_work_folder_becomes_no_class(photos, tmp_path, work_dir):
    with pytest.raises(UserError, match='would become a class of.*work_dir'):
        use_folder(made(tmp_path / work_dir), photos)
    shutil.copytree(photos, tmp_path / 'all' / 'train')
    use_folder(made(tmp_path / 'all' / 'work'), tmp_path / 'all')


def test_settings_of_data_that_are_not_used_are_refused(photos):
    key = 'val_dataloader.dataset.data_root'
    with pytest.raises(UserError, match=f"'{key}' would change nothing"):
        use_folder(made(), photos, {key: 'a'})
    use_folder(
        made(), photos, {
            'val_dataloader.dataset.pipeline.1.scale': 64,
            'val_dataloader.batch_size': 2
        })
    use_folder(made(), None, {key: 'a'})


def test_no_class_with_an_image_to_hold_out_is_said(photos):
    for path in photos.glob('*/[1-9].png'):
        path.unlink()
    cfg = made()
    use_folder(cfg, photos)
    assert len(build_dataset(cfg.train_dataloader.dataset)) == 3
    with pytest.raises(ConfigError, match='has two images.*no_validate'):
        build_dataset(cfg.val_dataloader.dataset)


def test_what_is_no_such_folder_is_said(photos, tmp_path):
    cfg = made()
    with pytest.raises(UserError, match='is no folder: give one'):
        use_folder(cfg, photos / 'bird' / '0.png')
    with pytest.raises(
            UserError, match='has no two subfolders .none.: put the'):
        use_folder(cfg, photos / 'bird')
    (tmp_path / 'one' / 'a').mkdir(parents=True)
    (tmp_path / 'one' / '.hidden').mkdir()
    with pytest.raises(UserError, match=r'has no two subfolders .a.: put the'):
        use_folder(cfg, tmp_path / 'one')
    cifar = made(path=CONFIGS / 'repmlp-cifar_1xb128_cifar10.py')
    with pytest.raises(ConfigError, match='train data of the config are no'):
        use_folder(cifar, photos)


def test_other_parts_are_refused(photos):
    with pytest.raises(ConfigError, match="one of train and val, but is 'x'"):
        CustomDataset(data_prefix=str(photos), part='x')


def test_one_epoch_on_own_photos_and_the_checkpoint_alone(photos, tmp_path):
    work = tmp_path / 'work'
    train(
        next(path for path in CUSTOM if 'tiny_ft' in path.name),
        work_dir=str(work),
        data=photos,
        cfg_options={
            'model.backbone': dict(
                type='RepMLPNet',
                arch=TINY,
                img_size=32,
                out_indices=(2, ),
                _delete_=True),
            'train_dataloader.num_workers': 0,
            'val_dataloader.num_workers': 0,
            'test_dataloader.num_workers': 0,
            'train_dataloader.batch_size': 4,
            'train_cfg.max_epochs': 1
        })
    scores = run_test(None, work, metrics=('accuracy', ))
    assert 0 <= scores['accuracy/top1'] <= 100
