import functools
import sys
from contextlib import nullcontext
from functools import partial
from itertools import product

import numpy as np
import pytest
from mmengine.dataset import Compose
from PIL import Image

from mmcls_repmlp.jobs.export.sample_data import record_pipeline
from mmcls_repmlp.jobs.shared.config import read_config
from repmlp_lite.errors import ImageError, UserError
from repmlp_lite.exported.pixels import (COLORS, FILTERS, check_pipeline,
                                         read_pixels)
from tests.helpers import CONFIGS, MINI

# A config of every kind of test pipeline that there is.
PIPELINES = [
    'repmlp-tiny_8xb32_in1k.py', 'repmlp-base_8xb64_in1k.py',
    'repmlp-base_ft-8xb32_custom.py', MINI,
    'repmlp-faceresnet_4xb64_faces-96px.py'
]
BACKENDS = [*FILTERS]
LOAD = dict(
    type='LoadImageFromFile', color_type='color', imdecode_backend='cv2')
RESIZE = dict(
    type='Resize',
    scale=[4, 4],
    scale_factor=None,
    keep_ratio=False,
    backend='cv2',
    interpolation='area')
resize, pad = partial(dict, type='Resize'), partial(dict, type='Pad')
edge = partial(dict, type='ResizeEdge', scale=40, backend='pillow')
# Others that can be followed: what comes between reading and packing.
STEPS = {
    'keep ratio': [resize(scale=(50, 30), keep_ratio=True)],
    'factor': [resize(scale_factor=(0.33, 1.7), interpolation='nearest')],
    'factor, ratio': [resize(scale_factor=0.51, keep_ratio=True)],
    'long': [
        edge(edge='long', interpolation='lanczos', backend='cv2'),
        pad(size=(48, 44), pad_val=7)
    ],
    'width': [edge(edge='width', interpolation='hamming')],
    'height': [edge(edge='height'),
               pad(pad_to_square=True, size_divisor=24)],
    'crop first': [
        dict(type='CenterCrop', crop_size=(31, 24)),
        resize(scale=(16, 20), backend='pillow', interpolation='box')
    ],
}


def picture(*shape, dtype=np.uint8):
    return Image.fromarray(
        np.random.default_rng(0).integers(
            0, np.iinfo(dtype).max, shape, dtype, endpoint=True))


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


RGB = picture(47, 61, 3)
SIZES = {
    f'{size}.png': picture(*size, 3)
    for size in ((64, 64), (40, 301), (250, 33), (4, 5), (701, 900))
}
TURNED = {f'turned {way}.jpg': dict(exif=turned(way)) for way in range(1, 9)}
COLOURED = [
    'rgb.png', 'no black.png', 'progressive.jpg', 'lossless.webp', 'lzw.tiff',
    'rgb.bmp', *TURNED
]
# Every way to write an image, by its name as a file.
IMAGES = {
    '16 bit.png': picture(47, 61, dtype=np.uint16),
    'one bit.png': RGB.convert('1'),
    'rgba.png': picture(47, 61, 4),
    'la.png': picture(47, 61, 2),
    'cmyk.jpg': RGB.convert('CMYK'),
    'grey.jpg': RGB.convert('L'),
    **dict.fromkeys(['clear.png', 'palette.gif'], RGB.convert('P')),
    **dict.fromkeys(COLOURED, RGB),
    **SIZES
}
OPTIONS = {
    'clear.png': dict(transparency=3),
    'no black.png': dict(transparency=(0, 0, 0)),
    'progressive.jpg': dict(progressive=True),
    'lossless.webp': dict(lossless=True),
    'lzw.tiff': dict(compression='tiff_lzw'),
    **TURNED
}


def save(folder, name):
    IMAGES[name].save(folder / name, **OPTIONS.get(name, {}))
    return folder / name


def compare(path, pipeline, recorded):
    """Compare the pixels with mmcv's; return whether it makes any."""
    try:
        expected = Compose(pipeline)(dict(img_path=str(path)))['inputs']
    except Exception:
        # What the pipeline cannot read is not made up here.
        with pytest.raises(ImageError, match='cannot be read'):
            read_pixels(path, recorded)
        return False
    actual = read_pixels(path, recorded).transpose(2, 0, 1)
    np.testing.assert_array_equal(actual, expected.numpy())
    return True


def config_with(*steps, **load):
    pipeline = [
        dict(type='LoadImageFromFile', **load), *steps,
        dict(type='PackClsInputs')
    ]
    return read_config(CONFIGS / MINI,
                       {'test_dataloader.dataset.pipeline': pipeline})


@functools.cache
def pipelines():
    """Of all configs and all ways to read: the pipeline, and its record."""
    cfgs = [read_config(CONFIGS / name) for name in PIPELINES]
    cfgs += [
        config_with(imdecode_backend=backend, color_type=color)
        for backend, color in product(BACKENDS, COLORS)
    ]
    sizes = [cfg.model.backbone.get('img_size', 224) for cfg in cfgs]
    return [(cfg.test_dataloader.dataset.pipeline,
             record_pipeline(cfg, (size, size)))
            for cfg, size in zip(cfgs, sizes)]


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name', IMAGES)
def test_the_pixels_of_every_config_and_every_way_to_read(tmp_path, name):
    path = save(tmp_path, name)
    compared = [compare(path, *pipeline) for pipeline in pipelines()]
    assert sum(compared) >= 6  # by Pillow at least


@pytest.mark.parametrize('steps', STEPS.values(), ids=STEPS)
@pytest.mark.parametrize('name', SIZES)
def test_the_pixels_of_other_pipelines(tmp_path, steps, name):
    cfg = config_with(*steps)
    recorded = record_pipeline(cfg, (0, 0))
    if isinstance(recorded, str):
        assert 'makes images of 20x16' in recorded
        recorded = record_pipeline(cfg, (20, 16))
    pipeline = cfg.test_dataloader.dataset.pipeline
    assert compare(save(tmp_path, name), pipeline, recorded)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize(('data', 'reason'),
                         [(b'', 'empty'), (b'hello', ''),
                          (b'\x89PNG\r\n\x1a\n', ''),
                          (b'\xff\xd8\xff\xda\0\2', 'it is cut off')])
def test_another_file_is_named(tmp_path, backend, data, reason):
    path = tmp_path / 'image.png'
    path.write_bytes(data)
    with pytest.raises(
            ImageError, match=f"image.png' cannot be read.*{reason}"):
        read_pixels(path, [dict(LOAD, imdecode_backend=backend)])


@pytest.mark.parametrize('backend', BACKENDS)
def test_opencv_is_needed_only_where_the_pipeline_says_so(
        tmp_path, monkeypatch, backend):
    image = save(tmp_path, 'rgb.png')
    monkeypatch.setitem(sys.modules, 'cv2', None)
    needed = pytest.raises(UserError, match='pip install opencv-python')
    with needed if backend == 'cv2' else nullcontext():
        read_pixels(image, [dict(LOAD, imdecode_backend=backend)])


@pytest.mark.parametrize(
    'steps',
    [[], [RESIZE], [LOAD, LOAD], [{}], [dict(LOAD, more=1)],
     [dict(LOAD, color_type='unchanged')], [dict(LOAD, color_type=[])],
     [dict(LOAD, imdecode_backend='turbojpeg')],
     *([LOAD, dict(RESIZE, **change)] for change in
       (dict(scale=[4]), dict(scale=[4, 0]), dict(scale=[4, 2**40]),
        dict(scale=[4, '4']), dict(scale=None), dict(keep_ratio=1),
        dict(scale=None, scale_factor=[1e300, 1]), dict(backend=None),
        dict(interpolation='box'), dict(interpolation={}))),
     [LOAD, dict(type='CenterCrop', crop_size=[-3, 3])],
     [LOAD, dict(type='__class__')], [LOAD, dict(type=['Resize'])],
     [LOAD,
      pad(size=None, size_divisor=0, pad_to_square=False, pad_val=0)]])
def test_foreign_pipelines_are_checked(steps):
    with pytest.raises(ValueError, match='cannot be|no steps'):
        check_pipeline(steps)
