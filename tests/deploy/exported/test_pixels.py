import functools
import warnings

import numpy as np
import pytest
from mmengine.dataset import Compose
from PIL import Image

from mmcls_repmlp.apis._shared.config import read_config
from mmcls_repmlp.apis._shared.geometry import recorded_pipeline
from mmcls_repmlp.deploy.exported.pixels import check_pipeline, read_pixels
from mmcls_repmlp.errors import JobFailedError
from tests.helpers import ROOT
from tests.programs import run_python

CONFIGS = ROOT / 'configs' / 'repmlp'
# A config of every kind of test pipeline that there is.
PIPELINES = {
    'official 224': 'repmlp-tiny_8xb32_in1k.py',
    'official 256': 'repmlp-tiny_8xb32_in1k-256px.py',
    'rc6 224': 'repmlp-base_8xb64_in1k.py',
    'rc6 256': 'repmlp-base_8xb64_in1k-256px.py',
    'custom': 'repmlp-base_ft-8xb32_custom.py',
    'digits': 'repmlp-mini_1xb64_digits-32px.py',
    'faces': 'repmlp-faceresnet_4xb64_faces-96px.py',
}
# Others that can be followed: what comes between reading and packing.
STEPS = {
    'keep ratio': [dict(type='Resize', scale=(50, 30), keep_ratio=True)],
    'factor': [
        dict(type='Resize', scale_factor=(0.33, 1.7), interpolation='nearest')
    ],
    'factor, ratio': [
        dict(
            type='Resize',
            scale_factor=0.51,
            keep_ratio=True,
            interpolation='area')
    ],
    'long': [
        dict(
            type='ResizeEdge', scale=40, edge='long', interpolation='lanczos'),
        dict(type='Pad', size=(48, 44), pad_val=7)
    ],
    'width': [
        dict(
            type='ResizeEdge',
            scale=40,
            edge='width',
            backend='pillow',
            interpolation='hamming'),
        dict(type='Pad', size_divisor=32)
    ],
    'height': [
        dict(
            type='ResizeEdge',
            scale=40,
            edge='height',
            backend='pillow',
            interpolation='lanczos'),
        dict(type='Pad', pad_to_square=True, size_divisor=24)
    ],
    'crop first': [
        dict(type='CenterCrop', crop_size=(31, 24)),
        dict(
            type='Resize',
            scale=(16, 20),
            backend='pillow',
            interpolation='box')
    ],
}
READERS = [(backend, color) for backend in ('cv2', 'pillow')
           for color in ('color', 'grayscale', 'color_ignore_orientation',
                         'grayscale_ignore_orientation')]
SIZES = {
    'square': (64, 64),
    'wide': (301, 40),
    'tall': (33, 250),
    'tiny': (5, 4),
    'large': (900, 701)
}


def numbers(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(
        0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def rgb(size=(61, 47)):
    return Image.fromarray(numbers(size[1], size[0], 3))


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def encodings():
    """Name, suffix, image and options of every way to write an image."""
    grey16 = Image.fromarray(numbers(47, 61, dtype=np.uint16))
    yield from (('16 bit', 'png', grey16, {}), ('8 bit', 'png', rgb(), {}),
                ('grey', 'png', rgb().convert('L'),
                 {}), ('grey', 'jpg', rgb().convert('L'),
                       {}), ('one bit', 'png', rgb().convert('1'),
                             {}), ('palette', 'png', rgb().convert('P'), {}),
                ('clear palette', 'png', rgb().convert('P'),
                 dict(transparency=3)), ('clear colour', 'png', rgb(),
                                         dict(transparency=(0, 0, 0))),
                ('rgba', 'png', Image.fromarray(numbers(47, 61, 4)),
                 {}), ('la', 'png', Image.fromarray(numbers(47, 61, 2)),
                       {}), ('cmyk', 'jpg', rgb().convert('CMYK'),
                             {}), ('progressive', 'jpg', rgb(),
                                   dict(progressive=True)),
                ('lossless', 'webp', rgb(),
                 dict(lossless=True)), ('lossy', 'webp', rgb(), {}),
                ('rgb', 'tiff', rgb(), {}), ('lzw', 'tiff', rgb(),
                                             dict(compression='tiff_lzw')),
                ('rgb', 'bmp', rgb(), {}), ('gif', 'gif', rgb().convert('P'),
                                            {}))
    for way in range(1, 9):
        yield f'turned {way}', 'jpg', rgb(), dict(exif=turned(way))
    for name, size in SIZES.items():
        yield name, 'png', rgb(size), {}


ENCODINGS = [
    pytest.param(suffix, image, options, id=f'{name} {suffix}')
    for name, suffix, image, options in encodings()
]


def expected(path, pipeline):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return Compose(pipeline)(dict(img_path=str(path)))['inputs'].numpy()


def compare(path, pipeline, recorded):
    try:
        pixels = expected(path, pipeline)
    except Exception:
        # What the pipeline cannot read is not made up here.
        with pytest.raises(JobFailedError, match='cannot be read'):
            read_pixels(path, recorded)
        return False
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        actual = read_pixels(path, recorded).transpose(2, 0, 1)
    np.testing.assert_array_equal(actual, pixels)
    return True


@functools.cache
def pipelines(name):
    """The test pipeline of a config, and what is recorded of it."""
    cfg = read_config(CONFIGS / PIPELINES[name])
    size = cfg.model.backbone.get('img_size', 224)
    recorded = recorded_pipeline(cfg, (size, size))
    check_pipeline(recorded)
    return cfg.test_dataloader.dataset.pipeline, recorded


@functools.cache
def reading(backend, color):
    cfg = config_with([], dict(imdecode_backend=backend, color_type=color))
    return (cfg.test_dataloader.dataset.pipeline,
            recorded_pipeline(cfg, (32, 32)))


def config_with(steps, load=()):
    pipeline = [
        dict(type='LoadImageFromFile', **dict(load)), *steps,
        dict(type='PackClsInputs')
    ]
    return read_config(CONFIGS / PIPELINES['digits'],
                       {'test_dataloader.dataset.pipeline': pipeline})


@pytest.mark.parametrize(('suffix', 'image', 'options'), ENCODINGS)
def test_the_pixels_of_every_config(tmp_path, suffix, image, options):
    path = tmp_path / f'image.{suffix}'
    image.save(path, **options)
    compared = [compare(path, *pipelines(name)) for name in PIPELINES]
    assert sum(compared) >= 2  # by Pillow at least


@pytest.mark.parametrize('name', STEPS)
@pytest.mark.parametrize('size', SIZES)
def test_the_pixels_of_other_pipelines(tmp_path, name, size):
    path = tmp_path / 'image.png'
    rgb(SIZES[size]).save(path)
    cfg = config_with(STEPS[name])
    recorded = recorded_pipeline(cfg, (0, 0))
    if isinstance(recorded, str):
        assert 'makes images of 20x16' in recorded
        recorded = recorded_pipeline(cfg, (20, 16))
    compare(path, cfg.test_dataloader.dataset.pipeline, recorded)


@pytest.mark.parametrize(('suffix', 'image', 'options'), ENCODINGS)
def test_every_way_to_read(tmp_path, suffix, image, options):
    path = tmp_path / f'image.{suffix}'
    image.save(path, **options)
    for reader in READERS:
        compare(path, *reading(*reader))


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
@pytest.mark.parametrize(
    'data', [b'', b'hello', b'\xff\xd8\xff\xe0', b'\x89PNG\r\n\x1a\n'])
def test_what_is_no_image_is_named(tmp_path, backend, data):
    path = tmp_path / 'image.png'
    path.write_bytes(data)
    with pytest.raises(JobFailedError, match="image.png' cannot be read"):
        read_pixels(path, [
            dict(
                type='LoadImageFromFile',
                color_type='color',
                imdecode_backend=backend)
        ])


def test_a_cut_off_jpeg_is_refused_whatever_the_decoder(tmp_path):
    path = tmp_path / 'image.jpg'
    rgb().save(path)
    path.write_bytes(path.read_bytes()[:-200])
    for backend, _ in READERS:
        with pytest.raises(JobFailedError, match='it is cut off'):
            read_pixels(path, [dict(LOAD, imdecode_backend=backend)])


def test_opencv_is_needed_only_where_the_pipeline_says_so(tmp_path):
    path = tmp_path / 'image.png'
    rgb().save(path)
    code = ('import sys; sys.modules["cv2"] = None\n'
            'from mmcls_repmlp.deploy.exported.pixels import read_pixels\n'
            'steps = [dict(type="LoadImageFromFile", color_type="color",'
            ' imdecode_backend=sys.argv[2])]\n'
            'print(read_pixels(sys.argv[1], steps).shape)')
    for backend, message in (('pillow', '(47, 61, 3)'),
                             ('cv2', 'pip install opencv-python')):
        done = run_python('-c', _WITHOUT_MMCLS + code, path, backend, cwd=ROOT)
        assert message in done.stdout + done.stderr


_WITHOUT_MMCLS = """
import mmcls_repmlp_cli
mmcls_repmlp_cli.place('mmcls_repmlp.deploy')
"""
LOAD = dict(
    type='LoadImageFromFile', color_type='color', imdecode_backend='cv2')
RESIZE = dict(
    type='Resize',
    scale=[4, 4],
    scale_factor=None,
    keep_ratio=False,
    backend='cv2',
    interpolation='area')


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
     [
         LOAD,
         dict(
             type='Pad',
             size=None,
             size_divisor=0,
             pad_to_square=False,
             pad_val=0)
     ]])
def test_foreign_pipelines_are_checked(steps):
    with pytest.raises(ValueError, match='cannot be|no steps'):
        check_pipeline(steps)
