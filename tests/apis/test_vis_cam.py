import os
import shutil

import mmcv
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image

from mmcls_repmlp.apis import vis_cam as module_under_test
from mmcls_repmlp.apis._shared.activation_map import (activation_map,
                                                      spread_over)
from mmcls_repmlp.apis._shared.model import load_model
from mmcls_repmlp.apis.vis_cam import vis_cam
from mmcls_repmlp.errors import JobFailedError, UserError
from tests.apis.test_image_demo import by_hand, read


@pytest.fixture
def images(project):
    return sorted(project.data.glob('val/*/*.png'))[4:7]


@pytest.fixture
def drawn(project, tmp_path, figures):
    """Run the job; give its figure and what it reported."""

    def run(images, *args, **kwargs):
        lines = []
        vis_cam(
            images,
            *(args or (None, project.trained)),
            tmp_path / 'a.png',
            report=lines.append,
            **kwargs)
        return figures[-1], lines

    return run


def panels(figure):
    """The axes with images, in pairs."""
    axes = [each for each in figure.axes if each.images]
    return [*zip(axes[::2], axes[1::2])]


def overlays(figure):
    return [pair[1].images[1].get_array() for pair in panels(figure)]


def expected_map(project, image, label, layer, method='gradcam'):
    pixels = mmcv.imresize(read(image), (32, 32), interpolation='bicubic')
    x = torch.from_numpy((pixels - 78.) / 96.).float().permute(2, 0, 1)[None]
    model = load_model(project.config, project.trained)
    maps = activation_map(model, x, [label], layer, method)
    return spread_over(model, maps, (32, 32))[0]


@pytest.mark.parametrize('form', ['trained', 'merged'])
def test_the_overlay_is_the_map_of_the_predicted_class(project, images, drawn,
                                                       form):
    config = dict(trained=project.config, merged=project.deploy_config)[form]
    figure, lines = drawn(images, config, getattr(project, form))
    assert len(panels(figure)) == len(lines) - 1 == 3
    for path, (plain, covered), line in zip(images, panels(figure), lines):
        scores = by_hand(project, path)
        best = int(scores.argmax())
        said = f'{best} ({scores[best]:.1%})'
        assert plain.get_title() == f'{path.name}\n{said}'
        assert covered.get_title() == f'what speaks for\n{said}'
        assert line == f'{path}: {best} {scores[best]:.1%}'
        shown = plain.images[0].get_array()
        assert shown.shape == (32, 32, 3)
        np.testing.assert_array_equal(covered.images[0].get_array(), shown)
        np.testing.assert_allclose(
            covered.images[1].get_array(),
            expected_map(project, path, best, 'backbone.final_norm'),
            atol=1e-3)
    assert figure.get_suptitle() == (
        'GradCAM at backbone.final_norm, a map of 2x2')
    assert lines[-1].startswith('drawn to ')


def test_method_layer_and_class_are_chosen(project, images, drawn):
    figure, lines = drawn(
        images[:1], method='layercam', layer='stages.0', target='4')
    score = by_hand(project, images[0])[4]
    _, covered = panels(figure)[0]
    assert covered.get_title() == f'what speaks for\n4 ({score:.1%})'
    assert f'4 {score:.1%}' in lines[0] and lines[0].count('%') == 2
    np.testing.assert_allclose(
        overlays(figure)[0],
        expected_map(project, images[0], 4, 'backbone.stages.0', 'layercam'),
        atol=1e-3)
    assert figure.get_suptitle() == (
        'LayerCAM at backbone.stages.0, a map of 8x8')


def test_classes_have_names(project, images, drawn, tmp_path):
    content = torch.load(project.trained, weights_only=False)
    content['meta']['dataset_meta'] = dict(
        classes=[f'${name}_^' for name in 'abcdefghij'])
    torch.save(content, tmp_path / 'named.pth')
    odd = shutil.copy(images[0], tmp_path / 'a $b_ \udc80.png')
    figure, _ = drawn([odd], None, tmp_path / 'named.pth', target='$e_^')
    plain, covered = panels(figure)[0]
    assert plain.get_title().startswith('a $b_ ?.png\n$')
    assert covered.get_title().startswith('what speaks for\n$e_^ (')


def test_the_more_a_place_speaks_the_redder_it_is(images, drawn):
    figure, _ = drawn(images[:1])
    cover = panels(figure)[0][1].images[1]
    strength = np.asarray(cover.get_array())
    assert strength.min() < 0.5 and strength.max() == pytest.approx(1)
    # What does not speak for the class stays as it is.
    np.testing.assert_allclose(cover.get_alpha(), 0.75 * strength)
    colours = cover.cmap(cover.norm(strength))[..., :3]
    assert (colours == to_rgb('red')).all()


def test_where_nothing_speaks_for_a_class_it_is_said(drawn, images,
                                                     monkeypatch):
    monkeypatch.setattr(module_under_test, 'activation_map',
                        lambda *_: torch.zeros(1, 2, 2))
    figure, _ = drawn(images[:1])
    assert panels(figure)[0][1].get_title().startswith('nothing speaks for')


def test_the_picture_shows_what_the_model_sees(project, drawn, tmp_path):
    # Wide, red and blue: cropped to its middle, colours in their places.
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:, 16:32, 0] = pixels[:, 32:48, 2] = 200
    Image.fromarray(pixels).save(tmp_path / 'wide.png')
    for norm in ([], [dict(type='Normalize', mean=[9.] * 3, std=[7.] * 3)]):
        figure, _ = drawn(
            [tmp_path / 'wide.png'],
            None,
            project.trained,
            cfg_options={
                'test_dataloader.dataset.pipeline': [
                    dict(type='LoadImageFromFile'),
                    dict(type='CenterCrop', crop_size=32), *norm,
                    dict(type='PackClsInputs')
                ]
            },
            force=True)
        for axes in panels(figure)[0]:
            np.testing.assert_allclose(
                axes.images[0].get_array().astype(int),
                pixels[:, 16:48].astype(int),
                atol=1)


def test_images_of_any_size_fit_their_maps(project, images, drawn):
    figure, _ = drawn(
        images[:1],
        None,
        project.trained,
        cfg_options={
            'model.backbone.pad_to_multiple': True,
            'test_dataloader.dataset.pipeline.1.scale': 40
        })
    assert overlays(figure)[0].shape == (40, 40)
    assert 'a map of 4x4' in figure.get_suptitle()


def test_a_folder_takes_a_picture_of_each(project, images, tmp_path):
    folder = tmp_path / 'in'
    for i, path in enumerate(images):
        (folder / f'{i % 2}').mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / f'{i % 2}' / f'{i // 2}.png')
    out = tmp_path / 'out'
    written = vis_cam([folder],
                      None,
                      project.work_dir,
                      out,
                      report=lambda line: None)
    assert [path.name for path in written
            ] == ['0_0.png.png', '0_1.png.png', '1_0.png.png']
    assert sorted(out.iterdir()) == written
    with pytest.raises(UserError, match='is not empty'):
        vis_cam([folder], None, project.work_dir, out)


def test_what_cannot_be_read_is_left_out(project, images, tmp_path, figures,
                                         capsys):
    (tmp_path / 'bad.png').write_text('no image')
    lines = []
    with pytest.raises(JobFailedError, match='1 of 3 images were skipped'):
        vis_cam([images[0], tmp_path / 'bad.png', images[1]],
                None,
                project.trained,
                tmp_path / 'a.jpg',
                report=lines.append)
    assert len(panels(figures[-1])) == 2 and len(lines) == 3
    assert 'bad.png' in capsys.readouterr().err
    with Image.open(tmp_path / 'a.jpg') as picture:
        assert picture.format == 'JPEG'
    with pytest.raises(JobFailedError, match='bad.png'):
        vis_cam([tmp_path / 'bad.png'], None, project.trained,
                tmp_path / 'b.png')
    assert not (tmp_path / 'b.png').exists()


def test_a_failure_leaves_no_picture(project, images, tmp_path, monkeypatch):
    maps = [torch.ones(1, 2, 2)]
    monkeypatch.setattr(module_under_test, 'activation_map',
                        lambda *_: maps.pop())
    with pytest.raises(IndexError):
        vis_cam(images, None, project.trained, tmp_path / 'a.png')
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [(dict(method='magic'), "method 'magic' is unknown"),
     (dict(images=['no.png']), "image 'no.png' does not exist"),
     (dict(images=['no.png'] * 25), 'does not exist'),
     (dict(out='a.txt'), 'wrong suffix for a picture'),
     (dict(out='OLD'), 'force=True'),
     (dict(checkpoint='no.pth'), "'no.pth' does not exist"),
     (dict(layer='no'), "no module 'no'"),
     (dict(target='no'), "class 'no' is unknown: name one, such as 0, 1, 2"),
     (dict(target='10'), 'or its number from 0 to 9'),
     (dict(device='toaster'), "device 'toaster' cannot be used")])
def test_wrong_arguments(project, images, tmp_path, arguments, message):
    old = tmp_path / 'old.png'
    old.write_text('precious')
    if arguments.get('out') == 'OLD':
        arguments = dict(out=old)
    with pytest.raises(UserError, match=message):
        vis_cam(
            **{
                'images': images,
                'config': None,
                'checkpoint': project.trained,
                'out': tmp_path / 'a.png',
                **arguments
            })
    assert old.read_text() == 'precious'
    assert os.listdir(tmp_path) == ['old.png']


def test_checks_come_before_the_work(images, tmp_path):
    with pytest.raises(UserError, match='27 images are too many for one'):
        vis_cam(images * 9, None, 'no.pth', tmp_path / 'a.png')
