"""What importing this package changes for somebody who uses the host alone.

    python tests/guest.py HOST IMAGES FOLDER

Trains a small ResNet of the host on IMAGES before and after the import, in
FOLDER, and prints as JSON what differs.
"""
from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry, root
from mmengine.runner import Runner

OURS = 'mmcls_repmlp'


def main(host: str, images: str, folder: str) -> None:
    """Compare a process before and after the import, and print as JSON."""
    import_module(f'{host}.utils').register_all_modules(False)
    first = train(host, images, f'{folder}/before')
    before = snapshot(host)
    assert OURS not in sys.modules
    import_module(OURS)
    after = snapshot(host)
    second = train(host, images, f'{folder}/after')
    changed = {
        what: [
            str(key) for key, value in each.items()
            if after[what].get(key) != value
        ]
        for what, each in before.items()
    }
    places = {place for place, _ in before['names']}
    changed['new names of others'] = [
        str(key) for key, value in after['names'].items()
        if key not in before['names'] and key[0] in places
        and value is not None and not value.__module__.startswith(OURS)
    ]
    # New modules came about by running their files, and not otherwise.
    changed['modules'] += sorted(
        name for name in {*sys.modules} - before['modules'].keys()
        if getattr(sys.modules[name].__spec__, 'loader', None) is None)
    changed['runs'] = [
        key for key in first if str(first[key]) != str(second[key])
    ]
    print(json.dumps(changed))


def snapshot(host: str) -> dict[str, dict[Any, Any]]:
    """Take down what an import could change, by what it is."""
    return dict(
        names=dict(registered(host)),
        attributes={
            value: {*vars(value)}  # of classes, registered or not
            for module in [*sys.modules.values()]
            for value in vars(module).values()
            if isinstance(value, type) and str(value.__module__).startswith((
                host, 'mmengine', 'mmcv'))
        },
        filters=dict(enumerate([*warnings.filters, None])),
        levels={
            name: logging.getLogger(name).level
            for name in (None, *logging.root.manager.loggerDict)
        },
        modules=dict(sys.modules))


def registered(host: str) -> Iterator[tuple[tuple[str, str], Any]]:
    """Look up every name of every registry, as every scope sees it."""
    tops = [
        value for module in (root, import_module(f'{host}.registry'))
        for value in vars(module).values()
        if isinstance(value, Registry) and value.parent is None
    ]
    for top in tops:
        family = (top, *top.children.values())
        for name in {name for each in family for name in each.module_dict}:
            for each in family:
                for key in (name, f'mmengine.{name}', f'{host}.{name}'):
                    place = f'{top.name} of {each.scope}'
                    yield (place, key), each.get(key)


def train(host: str, images: str, work_dir: str) -> dict[str, Any]:
    """Train for an epoch; return weights and the classes that took part."""
    packer = 'PackClsInputs' if host == 'mmcls' else 'PackInputs'
    runner = Runner.from_cfg(
        Config(
            dict(
                default_scope=host,
                work_dir=work_dir,
                experiment_name=work_dir.replace('/', '_'),
                log_level='WARNING',
                randomness=dict(seed=0),
                model=dict(
                    type='ImageClassifier',
                    data_preprocessor=dict(mean=[78.] * 3, std=[96.] * 3),
                    backbone=dict(
                        type='ResNet_CIFAR',
                        depth=18,
                        stem_channels=4,
                        base_channels=4),
                    neck=dict(type='GlobalAveragePooling'),
                    head=dict(
                        type='LinearClsHead', num_classes=10, in_channels=32)),
                train_dataloader=dict(
                    batch_size=10,
                    num_workers=0,
                    collate_fn=dict(type='default_collate'),
                    sampler=dict(type='DefaultSampler', shuffle=True),
                    dataset=dict(
                        type='CustomDataset',
                        data_prefix=images,
                        pipeline=[
                            dict(type='LoadImageFromFile'),
                            dict(type='RandomResizedCrop', scale=32),
                            dict(type='RandomFlip', prob=0.5),
                            dict(type=packer)
                        ])),
                optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
                train_cfg=dict(by_epoch=True, max_epochs=1))))
    runner.train()
    dataset = runner.train_dataloader.dataset
    parts = (dataset, *dataset.pipeline.transforms, *runner.hooks,
             *runner.model.modules(), runner.optim_wrapper, runner.train_loop)
    return dict(
        classes=[type(part) for part in parts],
        files=len(dataset),
        **{
            name: weight.tolist()
            for name, weight in runner.model.state_dict().items()
        })


if __name__ == '__main__':
    main(*sys.argv[1:])
