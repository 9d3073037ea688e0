import numpy as np
import pytest
import torch
from PIL import Image

from mmcls_repmlp.host import pred_scores
from mmcls_repmlp.jobs.shared.classifier import Classifier
from mmcls_repmlp.jobs.shared.pictures import to_picture
from mmcls_repmlp.jobs.shared.source import open_source
from repmlp_lite.errors import ConfigError, ImageError


@pytest.fixture
def classifier(project):
    return Classifier(open_source(project.config, project.trained))


def test_the_picture_is_what_the_model_is_given(classifier, tmp_path):
    path, pixels = tmp_path / 'a.png', np.zeros((32, 32, 3), np.uint8)
    pixels[..., 0], pixels[:9, :, 2] = 200, 90
    Image.fromarray(pixels).save(path)
    prepared = classifier.prepare(path)
    shown = to_picture(prepared.shown, prepared.bgr)
    np.testing.assert_array_equal(shown, pixels)
    inputs = prepared.sample['inputs']  # BGR
    np.testing.assert_array_equal(inputs.flip(0).permute(1, 2, 0), pixels)


def test_images_are_classified_in_their_order(classifier, tmp_path):
    # Nothing brings them to one size; the model sees each as it is.
    classifier.model.backbone.pad_to_multiple = True
    del classifier.pipeline.transforms[1]
    images = [tmp_path / f'{i}.png' for i in range(4)]
    for i, size in enumerate((32, 64, 64, 32)):
        Image.new('RGB', (size, size), (40 * i, 90, 200)).save(images[i])
    prepared = [classifier.prepare(image) for image in images]
    together = classifier.run(prepared)
    for one, found in zip(prepared, together):
        alone, = classifier.run([one])
        torch.testing.assert_close(
            pred_scores(found), pred_scores(alone), rtol=0, atol=1e-6)
    top = classifier.top(together[0], 20)
    assert [score for _, score in top] == sorted(
        pred_scores(together[0]).tolist(), reverse=True)
    # Classes without names are numbered.
    assert classifier.name(3) == '3' and classifier.name(10) == 'class 10'


def test_what_cannot_be_prepared(classifier, project, tmp_path):
    (tmp_path / 'bad.png').write_text('no image')
    with pytest.raises(ImageError, match='bad.png'):
        classifier.prepare(tmp_path / 'bad.png')
    pipeline = [dict(type='LoadImageFromFile'), dict(type='Nonsense')]
    options = {'test_dataloader.dataset.pipeline': pipeline}
    source = open_source(project.config, project.trained, None, options)
    with pytest.raises(ConfigError, match='pipeline of the config'):
        Classifier(source)
