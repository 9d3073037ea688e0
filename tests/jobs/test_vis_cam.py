import itertools
import shutil
from unittest.mock import Mock

import mmcv
import numpy as np
import pytest
import torch
from torch import nn

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.host import MODELS
from mmcls_repmlp.jobs import vis_cam as module_under_test
from mmcls_repmlp.jobs.vis_cam import activation_map, find_layer, vis_cam
from repmlp_lite.command_line.choices import CAM_METHODS
from repmlp_lite.errors import UserError
from tests.helpers import (TINY_CFG, TINY_CIFAR_CFG, TINY_RESMLP_CFG,
                           TINY_RESNET_CFG, assert_same, classifier_cfg,
                           load_model, randn, randomize)

CLASSES, LABELS = 5, [3, 0]
BACKBONES = dict(
    RepMLPNet=(TINY_CFG, 32),
    RepMLPResNet=(TINY_RESNET_CFG, 64),
    RepMLPCifarNet=(TINY_CIFAR_CFG, 8),
    ResMLP=(TINY_RESMLP_CFG, 12))


def classifier(name='RepMLPNet', **cfg):
    tiny, channels = BACKBONES[name]
    torch.manual_seed(0)
    backbone = dict(tiny, type=name, **cfg)
    model = MODELS.build(classifier_cfg(backbone, CLASSES, channels))
    nn.init.normal_(model.head.fc.weight)
    return randomize(model).double().eval()


def images_of(model):
    return randn(2, 3, *model.backbone.img_size)


def layers(model):
    return [f'backbone.{i["module"]}' for i in model.backbone.feature_info]


def maps(model, layer, method='gradcam'):
    return torch.stack([
        activation_map(model, image[None], label, layer, method)
        for image, label in zip(images_of(model), LABELS)
    ])


@pytest.mark.parametrize('name', BACKBONES)
def test_maps_are_those_of_the_papers_in_both_forms(name):
    model = classifier(name)
    for layer in layers(model):
        outputs = []
        handle = model.get_submodule(layer).register_forward_hook(
            lambda *args, outputs=outputs: outputs.append(args[-1]))
        score = model(images_of(model))[range(2), LABELS].sum()
        handle.remove()
        (out, ), (gradient, ) = outputs, torch.autograd.grad(score, outputs)
        weights = gradient.mean((2, 3), keepdim=True)
        grad_cam = (weights * out).sum(1).relu()
        layer_cam = (gradient.relu() * out).sum(1).relu()
        assert grad_cam.any() and layer_cam.any()
        assert_same(maps(model, layer), grad_cam)
        assert_same(maps(model, layer, 'layercam'), layer_cam)
    cases = [*itertools.product(layers(model), CAM_METHODS)]
    trained = [maps(model, *case) for case in cases]
    model.backbone.switch_to_deploy()
    for case, expected in zip(cases, trained):
        assert expected.dtype == torch.double and expected.any()
        assert_same(maps(model, *case), expected, 1e-9)


def test_the_model_is_unchanged_and_frozen_weights_give_the_same_maps():
    model, free = classifier(frozen_stages=1), classifier()
    before = [p.requires_grad for p in model.parameters()]
    with pytest.raises(UserError):
        maps(model, 'head.fc')
    for layer in layers(model):
        assert_same(maps(model, layer), maps(free, layer), 0)
    assert [p.requires_grad for p in model.parameters()] == before
    assert all(p.grad is None for p in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(('backbone', 'layer'), [
    (dict(), 'final_norm'),
    (dict(out_indices=(1, ),
          out_after_downsample=True), 'downsample_layers.1'),
    (dict(name='RepMLPResNet'), 'stage3'),
])
def test_the_layer_defaults_to_what_the_head_takes(backbone, layer):
    model = classifier(**backbone)
    for name in (None, layer, f'backbone.{layer}'):
        assert find_layer(model, name) == f'backbone.{layer}'


def test_backbones_of_others_need_a_name():
    other = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8)
    model = MODELS.build(classifier_cfg(other, CLASSES, 64)).double().eval()
    with pytest.raises(UserError, match='name it with option `layer='):
        find_layer(model)
    image, layer = randn(1, 3, 64, 64), find_layer(model, 'layer3')
    assert activation_map(model, image, 0, layer, 'gradcam').shape == (4, 4)


@pytest.mark.parametrize('method', CAM_METHODS)
@pytest.mark.parametrize('name', [
    'stage.0', '', 'head.fc', 'stages', 'stages.0.0.repmlp_block.gp',
    'stages.1.0.repmlp_block.repconv3'
])
def test_what_gives_no_map_is_refused(name, method):
    model = classifier()
    layer = find_layer(model, name)
    with pytest.raises(UserError, match=f'^{layer} gives no map on which'):
        maps(model, layer, method)


def test_lack_of_memory_is_no_fault_of_the_layer(monkeypatch):
    full = torch.OutOfMemoryError('CUDA out of memory')
    monkeypatch.setattr(torch.autograd, 'grad', Mock(side_effect=full))
    with pytest.raises(RuntimeError):
        maps(classifier(), 'backbone.stages.0')


@pytest.fixture
def images(project):
    return sorted(project.data.glob('val/*/*.png'))[4:7]


@pytest.fixture
def drawn(project, figures, capsys):
    """Run the job; give its pairs of panels, its title, and its lines."""

    def run(images, config=None, checkpoint=project.trained, **kwargs):
        out = project.folder / 'cam.png'
        vis_cam(images, config, checkpoint, out, force=True, **kwargs)
        axes = [each for each in figures[-1].axes if each.images]
        return ([*zip(axes[::2], axes[1::2])], figures[-1].get_suptitle(),
                capsys.readouterr().out.splitlines())

    return run


@pytest.fixture
def check(project):
    """Compare two panels with what is computed by hand; give the scores."""
    model = load_model(project.config, project.trained)
    model.backbone.pad_to_multiple = True

    def run(panels, image, layer, method='gradcam', label=None, side=32):
        pixels = mmcv.imresize(
            mmcv.imread(str(image)), (side, side), interpolation='bicubic')
        x = torch.from_numpy((pixels - 78.) / 96.).float().permute(2, 0, 1)
        with torch.no_grad():
            scores = model(x[None])[0].softmax(0)
        best = int(scores.argmax())
        label = best if label is None else label
        cells = activation_map(model, x[None], label, layer, method)
        padded = side + -side % 32
        strength = nn.functional.interpolate(
            cells[None, None], (padded, padded),
            mode='bilinear')[0, 0, :side, :side]
        assert [axes.get_title() for axes in panels] == [
            f'{image.name}\n{best} ({scores[best]:.1%})',
            f'what speaks for\n{label} ({scores[label]:.1%})'
        ]
        plain, below, overlay = (
            shown.get_array() for axes in panels for shown in axes.images)
        np.testing.assert_array_equal([plain, below], [pixels, pixels])
        # The more a place speaks the redder, else it stays as it is.
        assert (overlay[..., :3] == (1, 0, 0)).all()
        np.testing.assert_allclose(
            overlay[..., 3], 0.75 * strength / strength.max(), atol=1e-3)
        return scores

    return run


def test_the_overlay_is_the_map_of_the_predicted_class(project, images, drawn,
                                                       check):
    pairs, title, lines = drawn(images, project.deploy_config, project.merged)
    assert title == 'GradCAM at backbone.final_norm, a map of 2x2'
    assert len(pairs) == len(lines) - 1 == 3
    for path, pair, line in zip(images, pairs, lines):
        scores = check(pair, path, 'backbone.final_norm')
        best = int(scores.argmax())
        assert line == f'{path}: {best} {scores[best]:.1%}'
    assert lines[-1].startswith('drawn to ')


def test_method_layer_class_and_size_are_chosen(images, drawn, check):
    options = {
        'model.backbone.pad_to_multiple': True,
        'test_dataloader.dataset.pipeline.1.scale': 40
    }
    (pair, ), title, lines = drawn(
        images[:1],
        method='layercam',
        layer='stages.0',
        target='4',
        cfg_options=options)
    # What was padded, to 64x64, is left out.
    assert title == 'LayerCAM at backbone.stages.0, a map of 16x16'
    scores = check(pair, images[0], 'backbone.stages.0', 'layercam', 4, 40)
    assert f'4 {scores[4]:.1%}' in lines[0] and lines[0].count('%') == 2


def test_odd_names_and_where_nothing_speaks_for_a_class(
        project, images, drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(module_under_test, 'activation_map',
                        lambda *_: torch.zeros(2, 2))
    content = read_checkpoint(project.trained)
    content['meta']['dataset_meta'] = dict(
        classes=[f'${name}_^' for name in 'abcdefghij'])
    torch.save(content, tmp_path / 'named.pth')
    odd = shutil.copy(images[0], tmp_path / 'a $b_ \udc80.png')
    named = project.config, tmp_path / 'named.pth'
    (pair, ), _, _ = drawn([odd], *named, target='$e_^')
    assert pair[0].get_title().startswith('a $b_ ?.png\n$')
    assert pair[1].get_title().startswith('nothing speaks for\n$e_^ (')
    assert not pair[1].images[1].get_array()[..., 3].any()


def test_a_folder_takes_a_picture_of_each(project, images, tmp_path):
    job = images, None, project.work_dir, tmp_path / 'out'
    written = vis_cam(*job)
    assert sorted((tmp_path / 'out').iterdir()) == written
    names = [f'{path.name}.png' for path in images]
    assert all(map(str.endswith, map(str, written), names))
    with pytest.raises(UserError, match='is not empty'):
        vis_cam(*job)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [(dict(out='a.txt'), 'wrong suffix for a picture'),
     (dict(out='old.png'), 'force=True'),
     (dict(), '27 images are too many for one picture of 24'),
     (dict(out='new', target='10'),
      "class '10' is unknown: name one, such as 0, 1, 2, .* from 0 to 9")])
def test_wrong_arguments(project, images, old, arguments, message):
    with pytest.raises(UserError, match=message):
        vis_cam(images * 9, None, project.trained, **{
            'out': 'a.png',
            **arguments
        })


def test_the_library_is_named_if_it_is_missing(monkeypatch):
    monkeypatch.setattr(module_under_test, 'find_spec', lambda name: None)
    with pytest.raises(UserError, match=r'pip install "mmcls_repmlp\[cam\]"'):
        vis_cam([], None, 'a.pth', 'a.png')
