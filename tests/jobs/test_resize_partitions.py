import os

import pytest
import torch
from mmengine.config import Config

from mmcls_repmlp.checkpoints import (load_strictly, read_checkpoint,
                                      resized_state_dict, write_checkpoint)
from mmcls_repmlp.jobs import resize_partitions as module_under_test
from mmcls_repmlp.jobs.resize_partitions import resize_checkpoint
from mmcls_repmlp.jobs.shared.model import build_model
from mmcls_repmlp.jobs.test.test import test as run_test
from repmlp_lite.errors import CheckpointError, JobFailedError, UserError
from tests.helpers import ROOT, assert_same, load_model


@pytest.fixture
def resize(project, tmp_path):
    """Resize the trained model; give it and what was said."""
    lines = []

    def run(src=project.trained,
            to=(48, ),
            config=project.config,
            dst=None,
            **options):
        model = resize_checkpoint(
            config, src, dst or run.dst, to, report=lines.append, **options)
        return model, '\n'.join(lines)

    run.dst = tmp_path / 'out.pth'
    return run


def test_the_file_fits_the_config_with_the_new_size(resize, project):
    model, report = resize(to=[48, 64])
    checkpoint = read_checkpoint(resize.dst)
    assert checkpoint.keys() == {'state_dict', 'meta'}
    meta = checkpoint['meta']
    assert meta['classes'] == tuple('0123456789')
    target = build_model(Config.fromfile(resize.dst.with_suffix('.py')))
    assert target.backbone.img_size == (48, 64)
    load_strictly(target, checkpoint['state_dict'], 'resized')
    expected = resized_state_dict(
        load_model(project.config, project.trained), model)
    assert_same([*checkpoint['state_dict'].values()], [*expected.values()], 0)
    for step in range(1, 5):
        assert f'[{step}/4]' in report
    assert '8x8 to 12x16' in report
    assert 'blurred' not in report


def test_the_deploy_form_is_resized_with_a_word_of_warning(resize, project):
    model, report = resize(project.merged, config=project.deploy_config)
    assert model.backbone.deploy
    assert 'blurred' in report and 'training checkpoint' in report


def test_the_result_is_tested_by_the_tool(resize, project, work_dir):
    resize()
    options = {
        'model.backbone.img_size': 48,
        'test_dataloader.dataset.pipeline.1.scale': 48
    }
    arguments = dict(work_dir=work_dir, cfg_options=options)
    results = run_test(project.config, resize.dst, **arguments)
    assert 0 <= results['accuracy/top1'] <= 100
    with pytest.raises(
            CheckpointError,
            match='8x8, the model has 12x12: .*'
            'tools/convert_models/resize_partitions.py'):
        run_test(project.config, project.trained, **arguments)
    assert (ROOT / 'tools/convert_models/resize_partitions.py').exists()


def test_the_dtype_is_kept(resize, project, tmp_path):
    weights = {
        k: v.half() if v.is_floating_point() else v
        for k, v in read_checkpoint(project.trained)['state_dict'].items()
    }
    write_checkpoint(weights, tmp_path / 'src.pth')
    resize(tmp_path / 'src.pth')
    checkpoint = read_checkpoint(resize.dst)
    assert {
        v.dtype
        for v in checkpoint['state_dict'].values() if v.is_floating_point()
    } == {torch.float16}
    assert 'classes' not in checkpoint['meta']


@pytest.mark.parametrize(('arguments', 'message'), [
    (dict(to=[32]), 'images of 32x32 have the partitions .* nothing to res'),
    (dict(to=[0]), 'got .0.'),
    (dict(to=[1, 2, 3]), 'one number for both'),
    (dict(to=[8]), 'too small for 3 stages'),
    (dict(dst='out.onnx'), 'wrong suffix.*.pth or .pt'),
    (dict(cfg_options={
        'model.backbone': dict(_delete_=True, type='ResNet', depth=18)
    }), 'has no RepMLPNet'),
    (dict(cfg_options={'model.backbone.img_size': 64}), 'another image size'),
])
def test_what_the_user_must_mend(resize, arguments, message):
    with pytest.raises(UserError, match=message):
        resize(**arguments)
    assert not resize.dst.exists()


def test_files_are_replaced_only_by_force_and_the_source_never(
        resize, project):
    resize.dst.write_text('precious')
    with pytest.raises(UserError, match='exists.*force=True'):
        resize()
    assert resize.dst.read_text() == 'precious'
    resize(force=True)
    before = project.trained.read_bytes()
    with pytest.raises(UserError, match='is the very file that is read'):
        resize(dst=project.trained, force=True)
    assert project.trained.read_bytes() == before


def test_nothing_is_written_when_the_result_does_not_run(resize, monkeypatch):

    def broken(source, target):
        return {
            key: value * float('nan')
            for key, value in resized_state_dict(source, target).items()
        }

    monkeypatch.setattr(module_under_test, 'resized_state_dict', broken)
    with pytest.raises(JobFailedError, match='nothing was written'):
        resize()
    assert not [p for p in os.listdir(resize.dst.parent) if 'out' in p]
