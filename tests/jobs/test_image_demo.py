import json
import shutil

import mmcv
import numpy as np
import pytest
import torch
from PIL import Image

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.jobs.image_demo import classify_images
from repmlp_lite.errors import JobFailedError, UserError
from tests.helpers import load_model


def read(path):
    with Image.open(path) as image:
        return np.asarray(image.convert('RGB'))


@pytest.fixture(scope='module')
def by_hand(project):
    """Prepare step by step and run the model alone."""
    model = load_model(project.config, project.trained)

    def run(image, mean=(78., ) * 3, std=(96., ) * 3, rgb=True):
        pixels = mmcv.imresize(read(image), (32, 32), interpolation='bicubic')
        pixels = pixels if rgb else pixels[..., ::-1]
        pixels = torch.from_numpy((pixels - mean) / std).float()
        with torch.no_grad():
            return model(pixels.permute(2, 0, 1)[None])[0].softmax(0)

    return run


@pytest.fixture
def classify(project, image):
    """Classify one image by the trained model, or what else is named."""

    def run(image=image, **arguments):
        given = dict(config=project.config, checkpoint=project.trained)
        top, = classify_images([image], **{**given, **arguments}).values()
        return top

    return run


@pytest.mark.parametrize('form', ['trained', 'merged'])
def test_both_forms_give_the_scores_of_the_model(project, classify, by_hand,
                                                 image, capsys, form):
    config = dict(trained=project.config, merged=project.deploy_config)[form]
    top = classify(config=config, checkpoint=getattr(project, form))
    scores = by_hand(image)
    assert [score for _, score in top] == pytest.approx(
        scores.topk(5).values.tolist(), abs=1e-5)
    # Each is the score of its own class; rounding may order two that are near.
    for name, score in top:
        assert scores[int(name)].item() == pytest.approx(score, abs=1e-5)
    lines = capsys.readouterr().out.splitlines()
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


# Whether the data set reads the file, as BGR, or hands over RGB; and so what
# the model is given, as no preprocessor swaps.
@pytest.mark.parametrize('loads', [True, False])
def test_channels_come_in_the_order_of_the_config(classify, by_hand, coloured,
                                                  loads):
    norm = dict(mean=[10., 90., 170.], std=[20., 60., 90.])
    steps = ['LoadImageFromFile'] * loads + ['PackClsInputs']
    top = classify(
        coloured,
        cfg_options={
            'data_preprocessor': dict(**norm, to_rgb=False),
            'test_dataloader.dataset.pipeline': [dict(type=s) for s in steps]
        })
    expected, other = (
        by_hand(coloured, **norm, rgb=order).topk(5).values
        for order in (not loads, loads))
    assert not torch.allclose(expected, other, atol=1e-3)
    assert [score for _, score in top] == pytest.approx(
        expected.tolist(), abs=1e-5)


def test_the_picture_holds_the_whole_image(classify, coloured, tmp_path):
    classify(coloured, out=tmp_path / 'a.png')
    drawn, pixels = read(tmp_path / 'a.png'), read(coloured)
    np.testing.assert_array_equal(drawn[:, :224],
                                  pixels.repeat(7, 0).repeat(7, 1))
    text = drawn[:, 224:] < 128
    assert text[:100].any() and not text[100:].any()
    classify(coloured, out=tmp_path / 'b.png', top_k=2)
    assert (read(tmp_path / 'b.png')[:, 224:] < 128).sum() < text.sum()


def test_names_come_from_the_data_set_or_are_labels(classify, project,
                                                    tmp_path):
    bare, named = tmp_path / 'bare.pth', [f'digit {i}' for i in range(10)]
    torch.save(read_checkpoint(project.trained)['state_dict'], bare)
    for setting, value, start in (('classes', named, 'digit '),
                                  ('data_root', '/nowhere', 'class ')):
        options = {f'test_dataloader.dataset.{setting}': value}
        top = classify(checkpoint=bare, cfg_options=options)
        assert [name[:-1] for name, _ in top] == [start] * 5


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [(dict(image='old.png'), "image 'old.png' cannot be read"),
     (dict(out='a.txt'), 'end it in .png or .jpg or .jpeg or .csv or .json'),
     (dict(out='old.png'), 'force=True'),
     (dict(cfg_options={'test_dataloader': None}), 'no test_dataloader'),
     (dict(cfg_options={'test_dataloader.dataset.pipeline.1.scale': 40}),
      'images of 40x40 do not fit'), (dict(top_k=0), 'top_k=0` cannot be')])
def test_wrong_arguments(classify, old, arguments, message):
    with pytest.raises((UserError, JobFailedError), match=message):
        classify(**arguments)


def test_many_give_what_each_gives_alone(classify, project, tmp_path, capsys):
    folder = tmp_path / 'photos'  # of five images, and one that is none
    for i, path in enumerate(sorted(project.data.glob('val/*/*.png'))[:5]):
        (folder / f'{i % 2}').mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / f'{i % 2}' / f'{i}.png')
    (folder / '1' / 'bad.png').write_text('no image')
    files, out = (project.config, project.trained), tmp_path / 'a.json'
    with pytest.raises(JobFailedError, match='1 of 6 images were skipped'):
        classify_images([folder], *files, out=out, batch_size=2, top_k=10)
    assert 'bad.png' in capsys.readouterr().err
    rows = json.loads(out.read_text())
    assert [row['image'][-7:] for row in rows
            ] == ['0/0.png', '0/2.png', '0/4.png', '1/1.png', '1/3.png']
    for row in rows:
        top = {one['class']: one['score'] for one in row['top']}
        alone = dict(classify(row['image'], top_k=10))
        assert len(top) == 10
        assert top == pytest.approx(alone, rel=0, abs=1e-6)
    with pytest.raises(UserError, match='6 images cannot be drawn as one pic'):
        classify_images([folder], *files, out='a.png')


def test_one_image_may_be_tabulated(project, image, tmp_path, capsys):
    out = tmp_path / 'a.csv'
    classify_images([f'{image.parent}/{image.stem}*'],
                    None,
                    project.trained,
                    out=out)
    assert len(out.read_text().splitlines()) == 2
    assert capsys.readouterr().out == f'1 of 1 images are in {out}\n'
