import os

import pytest
import torch
from mmengine.config import Config

from mmcls_repmlp.checkpoints import read_checkpoint, write_checkpoint
from mmcls_repmlp.host import build_classifier
from mmcls_repmlp.jobs import reparameterize_model as module_under_test
from mmcls_repmlp.jobs.reparameterize_model import reparameterize_checkpoint
from repmlp_lite.errors import CheckpointError, JobFailedError, UserError
from tests.helpers import load_model, randomize


@pytest.fixture
def convert(project, tmp_path):
    """Convert the trained model; give the conversion."""

    def run(src=project.trained, config=project.config, dst=None, **options):
        return reparameterize_checkpoint(config, src, dst or run.dst,
                                         **options)

    run.dst = tmp_path / 'out.pth'
    return run


@pytest.fixture
def source(project, tmp_path):
    """Save the trained weights, changed; give the file."""

    def save(change):
        weights = read_checkpoint(project.trained)['state_dict']
        write_checkpoint(change(weights), tmp_path / 'src.pth')
        return tmp_path / 'src.pth'

    return save


def test_what_is_printed_and_written(convert, capsys):
    conversion, report = convert(), capsys.readouterr().out
    assert conversion.difference < 1e-5
    assert conversion.after.macs < conversion.before.macs
    for step in range(1, 6):
        assert f'[{step}/5]' in report
    assert f'{conversion.difference:.2e}' in report
    for count in (*conversion.before, *conversion.after):
        assert f'{count:,}' in report
    checkpoint = read_checkpoint(convert.dst)
    assert checkpoint.keys() == {'state_dict', 'meta'}
    meta = checkpoint['meta']
    assert meta['classes'] == tuple('0123456789')
    assert meta['dataset_meta']['classes'] == tuple('0123456789')
    assert 'cfg' not in meta
    beside = convert.dst.with_suffix('.py')
    assert load_model(beside, convert.dst).backbone.deploy
    assert {type(v)
            for v in checkpoint['state_dict'].values()} == {torch.Tensor}


@pytest.mark.parametrize(('options', 'name'), [
    ({}, 'out.pth'),
    ({}, 'out.py'),
    (dict(deploy_cfg='deploy.py'), 'deploy.py'),
])
def test_files_are_replaced_only_by_force(convert, tmp_path, monkeypatch,
                                          options, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text('precious')
    with pytest.raises(UserError, match=f'{name}.*exists.*force=True'):
        convert(**options)
    assert [*tmp_path.iterdir()] == [tmp_path / name]
    convert(**options, force=True)
    config = options.get('deploy_cfg', 'out.py')
    assert load_model(config, convert.dst).backbone.deploy


@pytest.mark.parametrize('names', [
    dict(dst='trained'),
    dict(src='work_dir', dst='trained'),
    dict(deploy_cfg='config')
])
def test_what_is_read_is_never_replaced(convert, project, names):
    files = project.trained, project.config
    before = [path.read_bytes() for path in files]
    given = {key: getattr(project, name) for key, name in names.items()}
    with pytest.raises(UserError, match='is the very file that is read'):
        convert(**given, force=True)
    assert [path.read_bytes() for path in files] == before


def test_nothing_is_written_when_outputs_differ(convert, monkeypatch):
    merge = module_under_test.reparameterize

    def broken(model):
        merged = merge(model)
        with torch.no_grad():
            merged.backbone.stages[0][0].repmlp_block.fc3.bias[0] += 1
        return merged

    monkeypatch.setattr(module_under_test, 'reparameterize', broken)
    with pytest.raises(JobFailedError, match='nothing was written'):
        convert()
    assert not [p for p in os.listdir(convert.dst.parent) if 'out' in p]


def without_head(weights):
    return {k: v for k, v in weights.items() if 'head' not in k}


@pytest.mark.parametrize(('arguments', 'message'), [
    (dict(dst='out.onnx'), 'wrong suffix.*.pth or .pt'),
    (dict(deploy_cfg='a.pth'), r'a config: end it in \.py'),
    (dict(config='DEPLOY'), 'is a deploy config'),
    (dict(src='MERGED'), 'is already converted'),
    (dict(src='HEADLESS'), '2 missing: head.fc.weight'),
    (dict(cfg_options={'model.backbone.img_size': 64}),
     'another image size, for partitions of 8x8, the model has 16x16'),
    (dict(cfg_options={'model.backbone': None}), 'no model.backbone'),
    (dict(cfg_options={'model.backbone.norm_cfg': dict(type='LN2d')}),
     'cannot be merged|does not fit'),
])
def test_what_cannot_be_converted(convert, project, source, arguments,
                                  message):
    files = dict(
        DEPLOY=project.deploy_config,
        MERGED=project.merged,
        HEADLESS=source(without_head))
    arguments = {
        name: files.get(str(value), value)
        for name, value in arguments.items()
    }
    with pytest.raises(UserError, match=message):
        convert(**arguments)
    assert not convert.dst.exists()


@pytest.mark.parametrize(('dtype', 'allowed'), [(torch.bfloat16, 5e-2),
                                                (torch.float64, 1e-12)])
def test_the_dtype_is_kept(convert, source, dtype, allowed):
    conversion = convert(
        source(
            lambda weights: {
                k: v.to(dtype) if v.is_floating_point() else v
                for k, v in weights.items()
            }))
    assert conversion.difference < allowed
    assert {
        v.dtype
        for v in read_checkpoint(convert.dst)['state_dict'].values()
        if v.is_floating_point()
    } == {dtype}


REPVGG = """
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='RepVGG',
        arch=dict(
            num_blocks=[1, 1, 1, 2],
            width_factor=[0.25] * 4,
            group_layer_map=None,
            se_cfg=None),
        out_indices=(3, )),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=128))
"""


def test_models_of_mmcls_are_converted(convert, tmp_path):
    config, src = tmp_path / 'repvgg.py', tmp_path / 'src.pth'
    config.write_text(REPVGG)
    model = randomize(build_classifier(Config.fromfile(config).model))
    write_checkpoint(model.state_dict(), src)
    conversion = convert(src, config)
    assert conversion.after.params < conversion.before.params
    with pytest.raises(CheckpointError, match='does not fit'):
        convert(convert.dst, config, tmp_path / 'again.pth')
