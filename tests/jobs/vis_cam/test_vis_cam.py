import shutil

import mmcv
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image

from mmcls_repmlp.jobs.vis_cam import vis_cam as module_under_test
from mmcls_repmlp.jobs.vis_cam.activation_map import (activation_map,
                                                      spread_over)
from mmcls_repmlp.jobs.vis_cam.vis_cam import vis_cam
from repmlp_lite.errors import JobFailedError, UserError
from tests.helpers import load_model


@pytest.fixture
def images(project):
    return sorted(project.data.glob('val/*/*.png'))[4:7]


@pytest.fixture
def drawn(project, tmp_path, figures):
    """Run the job; give its pairs of panels, its title, and its report."""

    def run(images, config=None, checkpoint=project.trained, **kwargs):
        lines, out = [], tmp_path / 'a.png'
        vis_cam(images, config, checkpoint, out, report=lines.append, **kwargs)
        axes = [each for each in figures[-1].axes if each.images]
        pairs = [*zip(axes[::2], axes[1::2])]
        return pairs, figures[-1].get_suptitle(), lines

    return run


@pytest.fixture(scope='module')
def explain(project):
    """Pixels and scores of an image, and the map of a class, by hand."""
    model = load_model(project.config, project.trained)

    def run(image, layer, method='gradcam', label=None):
        pixels = mmcv.imresize(
            mmcv.imread(str(image)), (32, 32), interpolation='bicubic')
        x = torch.from_numpy((pixels - 78.) / 96.).float().permute(2, 0, 1)
        with torch.no_grad():
            scores = model(x[None])[0].softmax(0)
        label = int(scores.argmax()) if label is None else label
        maps = activation_map(model, x[None], [label], layer, method)
        return pixels, scores, spread_over(model, maps, (32, 32))[0]

    return run


@pytest.mark.parametrize('form', ['trained', 'merged'])
def test_the_overlay_is_the_map_of_the_predicted_class(project, images, drawn,
                                                       explain, form):
    config = dict(trained=project.config, merged=project.deploy_config)[form]
    pairs, title, lines = drawn(images, config, getattr(project, form))
    assert title == 'GradCAM at backbone.final_norm, a map of 2x2'
    assert len(pairs) == len(lines) - 1 == 3
    for path, (plain, covered), line in zip(images, pairs, lines):
        pixels, scores, strength = explain(path, 'backbone.final_norm')
        best = int(scores.argmax())
        said = f'{best} ({scores[best]:.1%})'
        assert plain.get_title() == f'{path.name}\n{said}'
        assert covered.get_title() == f'what speaks for\n{said}'
        assert line == f'{path}: {best} {scores[best]:.1%}'
        below, cover = covered.images
        for shown in (plain.images[0], below):
            np.testing.assert_array_equal(shown.get_array(), pixels)
        np.testing.assert_allclose(cover.get_array(), strength, atol=1e-3)
        # The more a place speaks the redder, else it stays as it is.
        assert strength.min() < 0.5 and strength.max() == pytest.approx(1)
        np.testing.assert_allclose(cover.get_alpha(), 0.75 * cover.get_array())
        colours = cover.cmap(cover.norm(cover.get_array()))[..., :3]
        assert (colours == to_rgb('red')).all()
    assert lines[-1].startswith('drawn to ')


def test_method_layer_and_class_are_chosen(images, drawn, explain):
    pairs, title, lines = drawn(
        images[:1], method='layercam', layer='stages.0', target='4')
    assert title == 'LayerCAM at backbone.stages.0, a map of 8x8'
    _, scores, strength = explain(images[0], 'backbone.stages.0', 'layercam',
                                  4)
    (_, covered), = pairs
    assert covered.get_title() == f'what speaks for\n4 ({scores[4]:.1%})'
    assert f'4 {scores[4]:.1%}' in lines[0] and lines[0].count('%') == 2
    np.testing.assert_allclose(
        covered.images[1].get_array(), strength, atol=1e-3)


def test_classes_have_names(project, images, drawn, tmp_path):
    content = torch.load(project.trained, weights_only=False)
    content['meta']['dataset_meta'] = dict(
        classes=[f'${name}_^' for name in 'abcdefghij'])
    torch.save(content, tmp_path / 'named.pth')
    odd = shutil.copy(images[0], tmp_path / 'a $b_ \udc80.png')
    (pair, ), _, _ = drawn([odd], None, tmp_path / 'named.pth', target='$e_^')
    assert pair[0].get_title().startswith('a $b_ ?.png\n$')
    assert pair[1].get_title().startswith('what speaks for\n$e_^ (')


def test_where_nothing_speaks_for_a_class_it_is_said(drawn, images,
                                                     monkeypatch):
    monkeypatch.setattr(module_under_test, 'activation_map',
                        lambda *_: torch.zeros(1, 2, 2))
    (pair, ), _, _ = drawn(images[:1])
    assert pair[1].get_title().startswith('nothing speaks for')


def test_images_of_any_size_fit_their_maps(images, drawn):
    options = {
        'model.backbone.pad_to_multiple': True,
        'test_dataloader.dataset.pipeline.1.scale': 40
    }
    ((_, covered), ), title, _ = drawn(images[:1], cfg_options=options)
    assert covered.images[1].get_array().shape == (40, 40)
    assert 'a map of 4x4' in title


def test_a_folder_takes_a_picture_of_each(project, images, tmp_path):
    for i, path in enumerate(images):
        folder = tmp_path / 'in' / f'{i % 2}'
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / f'{i // 2}.png')
    job = ([tmp_path / 'in'], None, project.work_dir, tmp_path / 'out')
    written = vis_cam(*job, report=lambda line: None)
    assert [path.name for path in written
            ] == ['0_0.png.png', '0_1.png.png', '1_0.png.png']
    assert sorted((tmp_path / 'out').iterdir()) == written
    with pytest.raises(UserError, match='is not empty'):
        vis_cam(*job)


def test_what_cannot_be_read_is_left_out(project, images, old, figures,
                                         capsys):
    with pytest.raises(JobFailedError, match='1 of 3 images were skipped'):
        vis_cam([images[0], old, images[1]], None, project.trained, 'a.jpg')
    assert sum(bool(axes.images) for axes in figures[-1].axes) == 4
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 3 and old.name in said.err
    with Image.open('a.jpg') as picture:
        assert picture.format == 'JPEG'
    with pytest.raises(JobFailedError, match=old.name):
        vis_cam([old], None, project.trained, 'b.png')


def test_a_failure_leaves_no_picture(project, images, old, monkeypatch):
    maps = [torch.ones(1, 2, 2)]
    monkeypatch.setattr(module_under_test, 'activation_map',
                        lambda *_: maps.pop())
    with pytest.raises(IndexError):
        vis_cam(images, None, project.trained, 'a.png')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [(dict(method='magic'), "method 'magic' is unknown"),
     (dict(out='a.txt'), 'wrong suffix for a picture'),
     (dict(out='old.png'), 'force=True'),
     (dict(target='no'), "class 'no' is unknown: name one, such as 0, 1, 2"),
     (dict(target='10'), 'or its number from 0 to 9')])
def test_wrong_arguments(project, images, old, arguments, message):
    with pytest.raises(UserError, match=message):
        vis_cam(images, None, project.trained, **{'out': 'a.png', **arguments})


def test_checks_come_before_the_work(images):
    with pytest.raises(UserError, match='27 images are too many for one'):
        vis_cam(images * 9, None, 'no.pth', 'a.png')
