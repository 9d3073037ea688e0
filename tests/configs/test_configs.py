import pytest
import torch
from mmengine.config import Config

from mmcls_repmlp import reparameterize
from mmcls_repmlp.checkpoints import load_strictly
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.model import build_model
from mmcls_repmlp.models.backbone import MergeableBackbone
from tests.helpers import CONFIGS as FOLDER
from tests.helpers import assert_same, randn, randomize

CONFIGS = sorted(path.name for path in FOLDER.glob('*.py'))
# Of networks without convolutions there is one form.
PLAIN = {
    name
    for name in CONFIGS if name.startswith('resmlp') and '-local_' not in name
}
# The merged form of every config is named after its training form.
TWINS = {
    name: name.replace('_', '_deploy_', 1)
    for name in CONFIGS
    if '_deploy_' not in name and '_delopy_' not in name and name not in PLAIN
}
ALIASES = {
    f'repmlp-{alias}_8xb64_in1k.py': f'repmlp-base_deploy_8xb64_in1k{size}.py'
    for alias, size in (('base_delopy', ''), ('b256_deploy', '-256px'))
}


def read(name):
    return read_config(FOLDER / name)


def test_every_config_is_a_twin_or_an_alias():
    assert {*CONFIGS} == {*TWINS, *TWINS.values(), *ALIASES, *PLAIN}
    for alias, name in ALIASES.items():
        assert read(alias).to_dict() == read(name).to_dict()


@pytest.mark.parametrize('name', CONFIGS)
def test_parses_builds_and_runs_anywhere(name, capsys):
    cfg = read(name)
    assert not capsys.readouterr().err
    assert cfg.custom_imports.imports == ['mmcls_repmlp']
    with torch.device('meta'):
        model = build_model(cfg)
    assert type(model).__name__ == 'ImageClassifier'
    assert isinstance(model.backbone, MergeableBackbone)
    assert model.backbone.deploy is ('deploy' in name or 'delopy' in name
                                     or name in PLAIN)
    after = model.neck[-1].reduction if 'face' in name else model.head.fc
    assert after.in_features == model.backbone.channels[-1]
    assert [
        cfg[f'{split}_dataloader'].sampler.shuffle
        for split in ('train', 'val', 'test')
    ] == [True, False, False]
    assert Config.fromstring(cfg.pretty_text, '.py').model == cfg.model


@pytest.mark.parametrize(('train', 'deploy'), TWINS.items())
def test_deploy_twin_differs_in_the_form_only(train, deploy):
    train, deploy = read(train), read(deploy)
    assert deploy.model.backbone.pop('deploy') is True
    assert train.model.backbone.pop('deploy') is False
    train.pop('filename', None)
    assert deploy.to_dict() == train.to_dict()


@pytest.mark.parametrize(
    'name', [name for name in TWINS if 'mini' in name and '_ft' not in name])
def test_deploy_twin_loads_the_merged_weights_strictly(name):
    model, twin = build_model(read(name)), build_model(read(TWINS[name]))
    load_strictly(twin, reparameterize(randomize(model)).state_dict(), '')
    channels = read(name).model.backbone.get('in_channels', 3)
    x = randn(2, channels, *model.backbone.img_size)
    assert_same(twin.double()(x), model.double()(x), 1e-5)


@pytest.mark.parametrize(('size', 'resize', 'crop'), [
    ('', dict(type='Resize', scale=(256, 256), backend='pillow'), 224),
    ('-256px',
     dict(type='ResizeEdge', scale=292, edge='short', backend='pillow'), 256)
])
def test_images_are_prepared_as_for_the_hosted_weights(size, resize, crop):
    cfg = read(f'repmlp-base_8xb64_in1k{size}.py')
    assert cfg.val_dataloader == cfg.test_dataloader
    _, resized, cropped, _ = cfg.test_dataloader.dataset.pipeline
    assert resized.to_dict() == resize and cropped.crop_size == crop
    assert cfg.model.backbone.img_size == crop
    assert cfg.train_dataloader.dataset.pipeline[1].scale == crop
    assert cfg.data_preprocessor.mean == [123.675, 116.28, 103.53]
    assert cfg.data_preprocessor.std == [58.395, 57.12, 57.375]
