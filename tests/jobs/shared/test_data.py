import json
from types import SimpleNamespace as Namespace
from urllib.error import URLError

import pytest
from mmengine.config import Config, ConfigDict

from mmcls_repmlp.host import build_dataset
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.data import (batches, build_loop,
                                           check_annotation_files, data_errors,
                                           folder_of, iter_items,
                                           leaf_datasets, loader_config,
                                           open_loader, set_loader_defaults,
                                           warn_of_shared_images)
from mmcls_repmlp.jobs.shared.runner import build_runner
from repmlp_lite.errors import ConfigError


def test_all_samples_once_with_a_bar(project, terminal):
    loader = open_loader(read_config(project.config), 'test')
    counts = [len(batch['data_samples']) for batch in batches(loader)]
    assert counts == [16, 4]
    assert '2/2' in terminal.getvalue()


@pytest.mark.parametrize(('options', 'message'), [
    (dict(data_root='/nowhere'), "test data set in '/nowhere' cannot be read"),
    (dict(indices=0), 'the test data set is empty: add samples'),
    (dict(ann_file='a.pkl'), "'a.pkl' is not read, because"),
    (dict(classes=3), 'the test data .* cannot be built: Unsupport'),
    (dict(type='BaseDataset', data_root='', ann_file='bom.json'),
     "whose annotations are in 'bom.json', .*cannot be built: .*BOM"),
])
def test_data_that_cannot_be_opened(project, tmp_path, monkeypatch, options,
                                    message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'bom.json').write_text('{}', 'utf-8-sig')
    cfg = read_config(project.config)
    cfg.test_dataloader.dataset.update(options)
    with pytest.raises(ConfigError, match=message):
        open_loader(cfg, 'test')


@pytest.mark.parametrize('gpu', [True, False])
@pytest.mark.parametrize(('given', 'persistent'), [
    (dict(num_workers=2, pin_memory=True), True),
    (dict(num_workers=2, persistent_workers=False), False),
    (dict(num_workers=0, persistent_workers=True), False),
])
def test_loaders_are_completed_but_not_overruled(monkeypatch, gpu, given,
                                                 persistent):
    monkeypatch.setattr('torch.cuda.is_available', lambda: gpu)
    cfg = Config(dict(val_dataloader=given, test_dataloader=None))
    assert loader_config(cfg, 'val') == dict(
        given,
        persistent_workers=persistent,
        pin_memory=gpu,
        collate_fn=dict(type='default_collate'))
    assert cfg.test_dataloader is None
    off = Config(dict(val_dataloader=dict(pin_memory=False)))
    assert not loader_config(off, 'val').pin_memory


@pytest.mark.parametrize(
    ('loaders', 'message'),
    [({}, 'no val_dataloader .it has none at'),
     (dict(train_dataloader=dict(),
           val_dataloader=None), 'it has train_dataloader')])
def test_a_loader_that_is_missing(loaders, message):
    with pytest.raises(ConfigError, match=message):
        loader_config(Config(loaders), 'val')


def test_a_loop_that_cannot_be_built(project, work_dir):
    key = 'train_dataloader.dataset.pipeline.0.type'
    options = {key: 'NoSuchTransform', 'work_dir': work_dir}
    runner = build_runner(read_config(project.config, options))
    words = 'train loop of the config cannot be built.*NoSuchTransform'
    with pytest.raises(ConfigError, match=words):
        build_loop(runner, 'train')


@pytest.mark.parametrize(('data', 'words'), [
    (dict(data_root='here'),
     "train data set in 'here' .*dataset.data_root=FOLDER.*no route"),
    (dict(type='CIFAR10', data_prefix='data/cifar10'),
     r"in 'data/cifar10' .*: put https://\S+cifar-10-python.tar.gz there, or "
     '.*dataset.data_prefix=FOLDER'),
    (dict(type='CIFAR10', data_prefix='c', data_root='root'),
     "in 'root' cannot be read.*dataset.data_root=FOLDER"),
    (dict(type='ImageFolder', data_prefix=dict(img_path='')),
     "in '' cannot be read: put it there, .*data_root=FOLDER"),
])
def test_missing_data_are_named_with_the_remedy(data, words):
    cfg = Config(dict(train_dataloader=dict(dataset=data)))
    for kind in (RuntimeError, URLError):
        with pytest.raises(ConfigError, match=words):
            with data_errors(cfg, 'train'):
                raise kind('no route to host')


@pytest.mark.parametrize('name', ['a.pkl', 'b/a.YAML', '.yml', 'pickle'])
@pytest.mark.parametrize('key', ['ann_file', 'question_file'])
def test_annotations_that_could_run_code(key, name):
    inner = dict(type='BaseDataset', **{key: name})
    for dataset in (inner, dict(dataset=inner), dict(datasets=[{}, inner])):
        with pytest.raises(ConfigError, match=f"{key} '{name}' is not read"):
            check_annotation_files(dataset)
    for name in ('a.json', 'a.txt', '', 'b/pkl', 'a.pkl.json'):
        check_annotation_files(dict(ann_file=name, pipeline=[dict(a='.pkl')]))


def test_every_key_and_every_value_of_a_list_at_any_depth():
    a, b, c = dict(c='d'), (2, [3]), dict(f={})
    settings = ConfigDict(a=1, b=[a, b], e=c)
    assert [*iter_items(settings)] == [('a', 1), ('b', [a, b]), (None, a),
                                       ('c', 'd'), (None, b), (None, 2),
                                       (None, [3]), (None, 3), ('e', c),
                                       ('f', {})]
    assert not [*iter_items('a.pkl'), *iter_items(None)]


def test_the_parts_of_a_data_set():
    one, two = ['a'], ['b']
    both = Namespace(datasets=[one, Namespace(dataset=two)])
    assert [*leaf_datasets(one)] == [one]
    assert [*leaf_datasets(both)] == [one, two]


def splits(**roots):
    return Config({
        f'{phase}_dataloader': dict(
            dataset=dict(dataset=dict(data_root=root, part=phase)))
        for phase, root in roots.items()
    })


@pytest.mark.parametrize(('roots', 'whole'), [
    (dict(train='a', val='./a/', test='a'), []),
    (dict(train='a', val='a', test='b'), ['test']),
    (dict(train='b', val='a', test='a'), ['train', 'val', 'test']),
    (dict(train='b', val='b', test='a'), ['test']),
    (dict(test='b'), []),
])
def test_a_part_without_the_rest_becomes_the_whole(roots, whole, capsys):
    cfg = splits(**roots)
    set_loader_defaults(cfg)
    assert [
        phase for phase in roots
        if cfg[f'{phase}_dataloader'].dataset.dataset.part is None
    ] == whole
    assert capsys.readouterr().err.count('takes all images of') == len(whole)


@pytest.mark.parametrize(('train', 'val', 'shared'), [
    (dict(part='train'), dict(part='val', val_share=0.6), True),
    (dict(), dict(indices=[1]), True),
    (dict(part='train'), dict(part='val'), False),
    (dict(), dict(data_root='other'), False),
])
def test_images_to_validate_that_are_trained_on(tmp_path, monkeypatch, capsys,
                                                train, val, shared):
    for path in (tmp_path / top / name for top in ('data', 'other')
                 for name in 'ab'):
        path.mkdir(parents=True)
        for i in range(8):
            (path / f'{i}.png').write_text(f'{path.name}{i}')
    shown = dict(type='ImageFolder', data_root='data', pipeline=[])
    monkeypatch.chdir(tmp_path)
    sets = [build_dataset({**shown, **how}) for how in (train, val)]
    warn_of_shared_images(*sets)
    assert ('images to validate are also trained on'
            in capsys.readouterr().err) is shared


def test_other_data_sets_that_share_images(tmp_path, capsys):
    (tmp_path / 'a.json').write_text(
        json.dumps(
            dict(
                metainfo=dict(classes=['a', 'b']),
                data_list=[dict(img_path='a.png', gt_label=[0, 1])])))
    dataset = build_dataset(
        dict(
            type='MultiLabelDataset',
            data_root=str(tmp_path),
            ann_file='a.json',
            pipeline=[]))
    warn_of_shared_images(dataset, dataset)
    assert '1 of the 1 images to validate' in capsys.readouterr().err


@pytest.mark.parametrize(('dataset', 'folder'), [
    (dict(data_prefix=dict(img_path='a/b'), data_root='a'), 'a/b'),
    (dict(data_prefix=dict(root='arrays'), data_root=''), 'arrays'),
    (dict(data_prefix=dict(img_path=''), data_root='a'), 'a'),
    (dict(data_prefix='b'), 'b'),
    (dict(data_root='a'), 'a'),
    ({}, ''),
])
def test_folders_of_data_sets(dataset, folder):
    assert folder_of(Namespace(**dataset)) == folder
