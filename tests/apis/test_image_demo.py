import json
import shutil
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from PIL import Image

from mmcls_repmlp.apis._shared.model import load_model
from mmcls_repmlp.apis.image_demo import classify_image, classify_images
from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.errors import ImageError, JobFailedError, UserError


def read(path):
    with Image.open(path) as image:
        return np.asarray(image.convert('RGB'))


def by_hand(project, image, mean=(78., ) * 3, std=(96., ) * 3, rgb=True):
    """Prepare step by step and run the model alone."""
    pixels = mmcv.imresize(read(image), (32, 32), interpolation='bicubic')
    pixels = pixels if rgb else pixels[..., ::-1]
    pixels = torch.from_numpy((pixels - mean) / std).float()
    model = load_model(project.config, project.trained)
    with torch.no_grad():
        return model(pixels.permute(2, 0, 1)[None])[0].softmax(0)


@pytest.mark.parametrize('form', ['trained', 'merged'])
def test_both_forms_say_what_the_model_says(project, image, form):
    config = dict(trained=project.config, merged=project.deploy_config)[form]
    lines = []
    top = classify_image(
        image, config, getattr(project, form), report=lines.append)
    scores = by_hand(project, image)
    assert [score for _, score in top] == pytest.approx(
        scores.topk(5).values.tolist(), abs=1e-5)
    # Each is the score of its own class; rounding may order two that are near.
    assert [scores[int(name)].item()
            for name, _ in top] == pytest.approx([score for _, score in top],
                                                 abs=1e-5)
    assert lines[:2] == [
        'class   score', f'{top[0][0]}      {top[0][1]:6.1%}'
    ] and len(lines) == 6


@pytest.fixture
def coloured(tmp_path):
    """An image of 32x32, which is not resized, of unlike channels."""
    pixels = np.random.default_rng(0).integers(
        0, 256, (32, 32, 3), dtype=np.uint8) // [1, 3, 9]
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / 'coloured.png')
    return tmp_path / 'coloured.png'


# Whether the data set reads the file, as BGR, or hands over RGB; whether the
# preprocessor swaps; and so what the model is given.
@pytest.mark.parametrize(('loads', 'to_rgb', 'rgb'), [(True, True, True),
                                                      (True, False, False),
                                                      (False, False, True)])
def test_channels_come_in_the_order_of_the_config(project, coloured, loads,
                                                  to_rgb, rgb):
    norm = dict(mean=[10., 90., 170.], std=[20., 60., 90.])
    pipeline = [dict(type='LoadImageFromFile')] * loads + [
        dict(type='PackClsInputs')
    ]
    top = classify_image(
        coloured,
        project.config,
        project.trained,
        cfg_options={
            'data_preprocessor': dict(**norm, to_rgb=to_rgb),
            'test_dataloader.dataset.pipeline': pipeline
        },
        report=lambda line: None)
    expected, other = (
        by_hand(project, coloured, **norm, rgb=order).topk(5).values
        for order in (rgb, not rgb))
    assert not torch.allclose(expected, other, atol=1e-3)
    assert [score for _, score in top] == pytest.approx(
        expected.tolist(), abs=1e-5)


def test_the_picture_holds_the_whole_image(project, coloured, tmp_path):
    lines = []
    classify_image(
        coloured,
        project.config,
        project.trained,
        tmp_path / 'a.png',
        report=lines.append)
    drawn, pixels = read(tmp_path / 'a.png'), read(coloured)
    np.testing.assert_array_equal(drawn[:, :224],
                                  pixels.repeat(7, 0).repeat(7, 1))
    assert (drawn[:100, 232:] < 128).any()  # the text
    columns = drawn[:22, 232:]  # above it, of which nothing is cut off
    assert (columns < 160).any() and (columns[:, -8:] == 255).all()
    assert 'a.png' in lines[-1]


def test_names_come_from_the_data_set_or_are_labels(project, image, tmp_path):
    bare = tmp_path / 'bare.pth'
    torch.save(read_checkpoint(project.trained)['state_dict'], bare)
    named = [f'digit {i}' for i in range(10)]
    for options, start in (({
            'test_dataloader.dataset.classes': named
    }, 'digit '), ({
            'test_dataloader.dataset.data_root': '/nowhere'
    }, 'class ')):
        top = classify_image(
            image,
            project.config,
            bare,
            tmp_path / 'a.png',
            cfg_options=options,
            force=True,
            report=lambda line: None)
        assert [name[:-1] for name, _ in top] == [start] * 5


def test_fewer_classes_than_are_asked_for(project, image, tmp_path):
    weights = read_checkpoint(project.trained)['state_dict']
    for key in ('head.fc.weight', 'head.fc.bias'):
        weights[key] = weights[key][:3]
    torch.save(weights, tmp_path / 'three.pth')
    assert len(
        classify_image(
            image,
            project.config,
            tmp_path / 'three.pth',
            cfg_options={'model.head.num_classes': 3},
            report=lambda line: None)) == 3


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [(dict(image='no.png'), "image 'no.png' does not exist"),
     (dict(config='no.py'), 'does not exist'),
     (dict(checkpoint='no.pth'), "'no.pth' does not exist"),
     (dict(out='a.txt'), 'wrong suffix for a picture'),
     (dict(device='toaster'), "device 'toaster' cannot be used"),
     (dict(cfg_options={'test_dataloader': None}), 'no test_dataloader'),
     (dict(cfg_options={'test_dataloader.dataset.pipeline.1.scale': 40}),
      'images of 40x40 do not fit'),
     (dict(checkpoint='MERGED'), 'is already converted')])
def test_wrong_arguments(project, image, arguments, message):
    paths = dict(CONFIG=project.config, MERGED=project.merged)
    arguments = {
        key: paths.get(value, value) if isinstance(value, str) else value
        for key, value in arguments.items()
    }
    with pytest.raises(UserError, match=message):
        classify_image(
            **{
                'image': image,
                'config': project.config,
                'checkpoint': project.trained,
                **arguments
            })


def test_what_is_no_image_is_a_failure_that_names_it(project):
    with pytest.raises(ImageError, match=f'{project.config}.* cannot be read'):
        classify_image(project.config, project.config, project.trained)


def test_pictures_are_replaced_only_by_force(project, image, tmp_path):
    (tmp_path / 'a.png').write_text('precious')
    with pytest.raises(UserError, match='force=True'):
        classify_image(image, project.config, project.trained,
                       tmp_path / 'a.png')
    assert (tmp_path / 'a.png').read_text() == 'precious'


@pytest.mark.parametrize('job', [
    lambda image, *files: classify_image(image, *files, image, force=True),
    lambda image, *files: classify_images([image], *files, image, force=True)
])
def test_the_photo_itself_is_never_replaced(project, image, tmp_path, job):
    image = Path(shutil.copy(image, tmp_path))
    before = image.read_bytes()
    with pytest.raises(UserError, match='the very file that is read'):
        job(image, project.config, project.trained)
    assert image.read_bytes() == before


@pytest.fixture
def photos(project, tmp_path, image):
    """Five images in two folders, and one that is none."""
    folder = tmp_path / 'photos'
    for i, path in enumerate(sorted(project.data.glob('val/*/*.png'))[:5]):
        (folder / f'{i % 2}').mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / f'{i % 2}' / f'{i}.png')
    (folder / '1' / 'bad.png').write_text('no image')
    return folder


def rows_of(path):
    return [(row['image'], [(one['class'], one['score'])
                            for one in row['top']])
            for row in json.loads(path.read_text())]


def test_many_give_what_each_gives_alone(project, photos, tmp_path, capsys):
    out, lines = tmp_path / 'a.json', []
    with pytest.raises(JobFailedError, match='1 of 6 images were skipped'):
        classify_images([photos],
                        project.config,
                        project.trained,
                        out,
                        batch_size=2,
                        top_k=10,
                        report=lines.append)
    assert 'bad.png' in capsys.readouterr().err
    rows = rows_of(out)
    assert [image[-7:] for image, _ in rows
            ] == ['0/0.png', '0/2.png', '0/4.png', '1/1.png', '1/3.png']
    for image, top in rows:
        alone = dict(
            classify_image(
                image,
                project.config,
                project.trained,
                top_k=10,
                report=lines.append))
        assert len(top) == len(alone) == 10
        for name, score in top:
            assert score == pytest.approx(alone[name], abs=1e-6)


def test_images_of_several_sizes_go_together(project, photos, tmp_path):
    # Nothing brings them to one size; the model sees each as it is.
    sizes = (32, 64, 64, 32)
    for i, size in enumerate(sizes):
        Image.new('RGB', (size, size),
                  (40 * i, 90, 200)).save(tmp_path / f'{i}.png')
    options = {
        'test_dataloader.dataset.pipeline': [
            dict(type='LoadImageFromFile'),
            dict(type='PackClsInputs')
        ],
        'model.backbone.pad_to_multiple': True
    }
    images = [tmp_path / f'{i}.png' for i in range(4)]
    classify_images(
        images,
        project.config,
        project.trained,
        tmp_path / 'a.json',
        cfg_options=options,
        report=lambda line: None)
    for image, (name, top) in zip(images, rows_of(tmp_path / 'a.json')):
        alone = classify_image(
            image,
            project.config,
            project.trained,
            cfg_options=options,
            report=lambda line: None)
        assert name == str(image)
        assert [score for _, score in top
                ] == pytest.approx([score for _, score in alone], abs=1e-6)


def test_one_image_may_be_drawn_or_tabulated(project, image, tmp_path):
    for name in ('a.csv', 'a.png'):
        lines = []
        classify_images([image.parent / f'{image.stem}*'],
                        None,
                        project.trained,
                        tmp_path / name,
                        top_k=2,
                        report=lines.append)
        assert (tmp_path / name).exists()
        assert len(lines) == (1 if name == 'a.csv' else 4)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [(dict(out='a.png'), '6 images cannot be drawn as one picture'),
     (dict(out='a.txt'), 'end it in .png or .jpg or .jpeg or .csv or .json'),
     (dict(images=['EMPTY']), 'no image in folder'),
     (dict(top_k=0), 'top_k=0` cannot be'),
     (dict(batch_size=0), 'batch_size=0` cannot be')])
def test_many_are_refused_before_the_work(photos, tmp_path, arguments,
                                          message):
    (tmp_path / 'EMPTY').mkdir()
    arguments = dict(
        dict(images=[photos], config='no.py', checkpoint='no.pth'),
        **arguments)
    arguments['images'] = [
        tmp_path / 'EMPTY' if path == 'EMPTY' else path
        for path in arguments['images']
    ]
    with pytest.raises(UserError, match=message):
        classify_images(**arguments)


def test_a_folder_is_no_image(project):
    with pytest.raises(UserError, match='is a folder: name a file in it'):
        classify_image(project.data, project.config, project.trained)
