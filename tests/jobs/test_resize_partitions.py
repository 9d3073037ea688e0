import os

import pytest
import torch

from mmcls_repmlp.checkpoints import (read_checkpoint, resized_state_dict,
                                      write_checkpoint)
from mmcls_repmlp.jobs import resize_partitions as module_under_test
from mmcls_repmlp.jobs.resize_partitions import resize_checkpoint
from repmlp_lite.errors import JobFailedError, UserError
from tests.helpers import assert_same, load_model


@pytest.fixture
def resize(project, tmp_path, capsys):
    """Resize the trained model; give it and the output."""

    def run(src=project.trained,
            to=(48, ),
            config=project.config,
            dst=None,
            **options):
        model = resize_checkpoint(
            config, src, dst or run.dst, to=to, **options)
        return model, capsys.readouterr().out

    run.dst = tmp_path / 'out.pth'
    return run


def test_the_file_fits_the_config_with_the_new_size(resize, project):
    model, output = resize(to=[48, 64])
    checkpoint = read_checkpoint(resize.dst)
    assert checkpoint.keys() == {'state_dict', 'meta'}
    assert checkpoint['meta']['classes'] == tuple('0123456789')
    config = resize.dst.with_suffix('.py')
    assert load_model(config, resize.dst).backbone.img_size == (48, 64)
    expected = resized_state_dict(
        load_model(project.config, project.trained), model)
    assert_same([*checkpoint['state_dict'].values()], [*expected.values()], 0)
    assert '8x8 to 12x16' in output and f'out.pth and {config}' in output
    assert 'blurred' not in output


def test_the_deploy_form_is_resized_with_a_word_of_warning(resize, project):
    model, output = resize(project.merged, config=project.deploy_config)
    assert model.backbone.deploy and 'blurred' in output


def test_the_dtype_is_kept(resize, project, tmp_path):
    model = load_model(project.config, project.trained).half()
    write_checkpoint(model.state_dict(), tmp_path / 'src.pth')
    resize(tmp_path / 'src.pth')
    checkpoint = read_checkpoint(resize.dst)
    assert {value.dtype
            for value in checkpoint['state_dict'].values()
            } == {torch.float16, torch.int64}
    assert 'classes' not in checkpoint['meta']


@pytest.mark.parametrize(('arguments', 'message'), [
    (dict(to=[32]), 'images of 32x32 have the same partitions .* nothing'),
    (dict(to=[0]), 'got .0.'),
    (dict(to=[1, 2, 3]), 'one number for both'),
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
    for path in (resize.dst, resize.dst.with_suffix('.py')):
        path.write_text('precious')
        with pytest.raises(UserError, match='exists.*force=True'):
            resize()
        assert path.read_text() == 'precious'
        resize.dst.unlink(missing_ok=True)
    resize(force=True)
    before = project.trained.read_bytes()
    with pytest.raises(UserError, match='is also the file to read'):
        resize(dst=project.trained, force=True)
    assert project.trained.read_bytes() == before


def test_nothing_is_written_when_the_result_does_not_run(resize, monkeypatch):

    def broken(source, target):
        # Finite weights, whose products are not.
        return {
            key: value * 0 + 1e30
            for key, value in resized_state_dict(source, target).items()
        }

    monkeypatch.setattr(module_under_test, 'resized_state_dict', broken)
    with pytest.raises(JobFailedError, match='nothing was written'):
        resize()
    assert not [p for p in os.listdir(resize.dst.parent) if 'out' in p]
