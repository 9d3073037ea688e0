import os

import pytest
import torch

from mmcls_repmlp.checkpoints import read_checkpoint, write_checkpoint
from mmcls_repmlp.host import build_classifier
from mmcls_repmlp.jobs import reparameterize_model as module_under_test
from mmcls_repmlp.jobs.reparameterize_model import reparameterize_checkpoint
from repmlp_lite.errors import CheckpointError, JobFailedError, UserError
from tests.helpers import classifier_cfg, load_model, randomize


@pytest.fixture
def convert(project, tmp_path):
    """Convert the trained model; give the conversion."""

    def run(src=project.trained, config=project.config, dst=None, **options):
        return reparameterize_checkpoint(config, src, dst or run.dst,
                                         **options)

    run.dst = tmp_path / 'out.pth'
    return run


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


@pytest.mark.parametrize('name', ['out.pth', 'out.py', 'deploy.py'])
def test_files_are_replaced_only_by_force(convert, tmp_path, name):
    (tmp_path / name).write_text('precious')
    options = dict(deploy_cfg=tmp_path / 'deploy.py')
    with pytest.raises(UserError, match=f'{name}.*exists.*force=True'):
        convert(**options)
    assert [*tmp_path.iterdir()] == [tmp_path / name]
    convert(**options, force=True)
    assert load_model(tmp_path / 'deploy.py', convert.dst).backbone.deploy


@pytest.mark.parametrize(
    'names', [dict(src='work_dir', dst='trained'),
              dict(deploy_cfg='config')])
def test_what_is_read_is_never_replaced(convert, project, names):
    given = {key: getattr(project, name) for key, name in names.items()}
    with pytest.raises(UserError, match='is also the file to read'):
        convert(**given, force=True)


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


@pytest.mark.parametrize(('arguments', 'message'), [
    (dict(dst='out.onnx'), 'wrong suffix.*.pth or .pt'),
    (dict(deploy_cfg='a.pth'), r'a config: end it in \.py'),
    (dict(config='deploy_config'), 'is a deploy config'),
    (dict(src='merged'), 'is already converted'),
    (dict(cfg_options={'model.backbone': None}), 'no model.backbone'),
])
def test_what_cannot_be_converted(convert, project, arguments, message):
    for name in arguments.keys() & {'src', 'config'}:
        arguments = {name: getattr(project, arguments[name])}
    with pytest.raises(UserError, match=message):
        convert(**arguments)
    assert not convert.dst.exists()


@pytest.mark.parametrize(('dtype', 'allowed'), [(torch.bfloat16, 5e-2),
                                                (torch.float64, 1e-12)])
def test_the_dtype_is_kept(convert, project, tmp_path, dtype, allowed):
    model = load_model(project.config, project.trained).to(dtype)
    write_checkpoint(model.state_dict(), tmp_path / 'src.pth')
    assert convert(tmp_path / 'src.pth').difference < allowed
    converted = read_checkpoint(convert.dst)['state_dict'].values()
    assert {v.dtype for v in converted if v.is_floating_point()} == {dtype}


def test_models_of_mmcls_are_converted(convert, tmp_path):
    config, src = tmp_path / 'repvgg.py', tmp_path / 'src.pth'
    arch = dict(
        num_blocks=[1, 1, 1, 2],
        width_factor=[0.25] * 4,
        group_layer_map=None,
        se_cfg=None)
    cfg = classifier_cfg(dict(type='RepVGG', arch=arch), 10, 128)
    config.write_text(f'model = {cfg}')
    model = randomize(build_classifier(cfg))
    write_checkpoint(model.state_dict(), src)
    conversion = convert(src, config)
    assert conversion.after.params < conversion.before.params
    with pytest.raises(CheckpointError, match='does not fit'):
        convert(convert.dst, config, tmp_path / 'again.pth')
