import os

import pytest
import torch
from mmengine.config import Config

from mmcls_repmlp.apis import reparameterize_model as module_under_test
from mmcls_repmlp.apis._shared.model import load_model
from mmcls_repmlp.apis.reparameterize_model import reparameterize_checkpoint
from mmcls_repmlp.checkpoints import read_checkpoint, write_checkpoint
from mmcls_repmlp.errors import CheckpointError, JobFailedError, UserError
from mmcls_repmlp.host import build_classifier
from tests.helpers import assert_same, randomize


@pytest.fixture
def convert(project, tmp_path):
    lines = []

    def run(config=project.config, src=project.trained, dst=None, **kwargs):
        conversion = reparameterize_checkpoint(
            config,
            src,
            dst or tmp_path / 'out.pth',
            report=lines.append,
            **kwargs)
        return conversion, '\n'.join(lines)

    run.dst = tmp_path / 'out.pth'
    return run


def test_reports_what_it_does_and_found(convert):
    conversion, report = convert()
    assert conversion.difference < 1e-5
    assert conversion.after.macs < conversion.before.macs
    for step in range(1, 6):
        assert f'[{step}/5]' in report
    assert f'{conversion.difference:.2e}' in report
    for count in (*conversion.before, *conversion.after):
        assert f'{count:,}' in report


def test_written_file_holds_weights_and_meta_only(convert, project):
    convert()
    checkpoint = read_checkpoint(convert.dst)
    assert checkpoint.keys() == {'state_dict', 'meta'}
    meta = checkpoint['meta']
    assert meta['classes'] == tuple('0123456789')
    assert meta['dataset_meta']['classes'] == tuple('0123456789')
    cfg = Config.fromstring(meta['cfg'], '.py')
    assert cfg.model.backbone.deploy is True
    assert {type(v)
            for v in checkpoint['state_dict'].values()} == {torch.Tensor}


def test_written_config_loads_the_written_file(convert, tmp_path):
    convert(deploy_cfg=tmp_path / 'deploy.py')
    assert load_model(tmp_path / 'deploy.py', convert.dst).backbone.deploy


def test_another_envelope_gives_the_same(convert, project, tmp_path):
    weights = read_checkpoint(project.trained)['state_dict']
    torch.save(
        dict(model={
            f'module.{k}': v
            for k, v in weights.items()
        }), tmp_path / 'src.pth')
    convert(src=tmp_path / 'src.pth')
    expected, converted = (
        read_checkpoint(path)['state_dict']
        for path in (project.merged, convert.dst))
    assert converted.keys() == expected.keys()
    assert_same([*converted.values()], [*expected.values()], 0)


def test_files_are_replaced_only_by_force(convert, tmp_path):
    convert.dst.write_text('precious')
    with pytest.raises(UserError, match='exists.*force=True'):
        convert()
    assert convert.dst.read_text() == 'precious'
    (tmp_path / 'deploy.py').write_text('precious')
    with pytest.raises(UserError, match='deploy.py.*exists'):
        convert(dst=tmp_path / 'b.pth', deploy_cfg=tmp_path / 'deploy.py')
    convert(deploy_cfg=tmp_path / 'deploy.py', force=True)
    assert 'deploy=True' in (tmp_path / 'deploy.py').read_text()


def test_the_training_checkpoint_is_never_replaced(convert, project):
    before = project.trained.read_bytes()
    with pytest.raises(UserError, match='is the very file that is read'):
        convert(dst=project.trained, force=True)
    with pytest.raises(UserError, match='is the very file that is read'):
        convert(src=project.work_dir, dst=project.trained, force=True)
    assert project.trained.read_bytes() == before


def test_the_config_is_never_replaced_nor_the_result(convert, project):
    before = project.config.read_bytes()
    with pytest.raises(UserError, match='the very file that is read'):
        convert(deploy_cfg=project.config, force=True)
    assert project.config.read_bytes() == before
    with pytest.raises(UserError, match=r'a config: end it in \.py'):
        convert(deploy_cfg=convert.dst, force=True)


def broken_merge(model):
    merged = module_under_test_reparameterize(model)
    with torch.no_grad():
        merged.backbone.stages[0][0].repmlp_block.fc3.bias[0] += 1
    return merged


module_under_test_reparameterize = module_under_test.reparameterize


def test_nothing_is_written_when_outputs_differ(convert, monkeypatch):
    monkeypatch.setattr(module_under_test, 'reparameterize', broken_merge)
    with pytest.raises(JobFailedError, match='nothing was written'):
        convert()
    assert not [p for p in os.listdir(convert.dst.parent) if 'out' in p]


@pytest.mark.parametrize(('change', 'message'), [
    (lambda w: {
        k: v
        for k, v in w.items() if 'head' not in k
    }, '2 missing: head.fc.weight'),
    (lambda w: {
        'x.weight': torch.ones(1)
    }, 'another architecture'),
    (lambda w: {
        **w, 'head.fc.bias': w['head.fc.bias'] * float('nan')
    }, "entry 'head.fc.bias' has infinite or undefined"),
])
def test_checkpoints_that_are_not_usable(convert, project, tmp_path, change,
                                         message):
    weights = read_checkpoint(project.trained)['state_dict']
    torch.save(change(weights), tmp_path / 'src.pth')
    with pytest.raises(CheckpointError, match=message):
        convert(src=tmp_path / 'src.pth')
    assert not convert.dst.exists()


def test_a_converted_file_is_recognised(convert, project):
    with pytest.raises(CheckpointError, match='is already converted'):
        convert(src=project.merged)


@pytest.mark.parametrize(('arguments', 'message'), [
    (dict(dst='out.onnx'), 'wrong suffix.*.pth or .pt'),
    (dict(config='no.py'), 'does not exist'),
    (dict(src='no.pth'), 'does not exist'),
    (dict(cfg_options={'model.backbone.img_size': 64}),
     'another image size, for partitions of 8x8, the model has 16x16'),
    (dict(cfg_options={'model.backbone': None}), 'no model.backbone'),
    (dict(cfg_options={'model.backbone.norm_cfg': dict(type='LN2d')}),
     'cannot be merged|does not fit'),
])
def test_wrong_arguments(convert, arguments, message):
    with pytest.raises(UserError, match=message):
        convert(**arguments)


def test_a_deploy_config_is_refused(convert, project):
    with pytest.raises(UserError, match='is a deploy config'):
        convert(config=project.deploy_config)


@pytest.mark.parametrize(('dtype', 'allowed'), [(torch.float16, 1e-2),
                                                (torch.bfloat16, 5e-2),
                                                (torch.float64, 1e-12)])
def test_the_dtype_is_kept(convert, project, tmp_path, dtype, allowed):
    weights = {
        k: v.to(dtype) if v.is_floating_point() else v
        for k, v in read_checkpoint(project.trained)['state_dict'].items()
    }
    torch.save(weights, tmp_path / 'src.pth')
    conversion, _ = convert(src=tmp_path / 'src.pth')
    assert conversion.difference < allowed
    assert {
        v.dtype
        for v in read_checkpoint(convert.dst)['state_dict'].values()
        if v.is_floating_point()
    } == {dtype}


REPVGG = """
model = dict(
    type='ImageClassifier',
    backbone=dict(type='RepVGG', arch='A0', out_indices=(3, )),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=1280))
"""


def test_models_of_mmcls_are_converted(convert, tmp_path):
    config = tmp_path / 'repvgg.py'
    config.write_text(REPVGG)
    model = randomize(build_classifier(Config.fromfile(config).model))
    write_checkpoint(model.state_dict(), tmp_path / 'src.pth')
    conversion, _ = convert(config=config, src=tmp_path / 'src.pth')
    assert conversion.after.params < conversion.before.params
    with pytest.raises(CheckpointError, match='is already converted'):
        convert(config=config, src=convert.dst, dst=tmp_path / 'again.pth')
