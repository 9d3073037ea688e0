import io
import pickle

import mmcv
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from PIL import Image
from torch.utils.data import DataLoader

from mmcls_repmlp.host import TRANSFORMS
from mmcls_repmlp.recipe.transforms import LoadImageStrict
from repmlp_lite.errors import ImageError

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)

ON_ITS_SIDE = Image.Exif()
ON_ITS_SIDE[0x112] = 6


def encoded(kind, pixels=PIXELS, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


ENCODINGS = {
    'jpeg': encoded('JPEG'),
    'png': encoded('PNG'),
    'grey': encoded('PNG', PIXELS[..., 0]),
    '16 bit': encoded('PNG', PIXELS[..., 0].astype(np.uint16) * 257),
    'alpha': encoded('PNG', np.dstack([PIXELS, PIXELS[..., :1]])),
    'on its side': encoded('JPEG', exif=ON_ITS_SIDE),
    'png on its side': encoded('PNG', exif=ON_ITS_SIDE)
}


def read(folder, content, **options):
    path = folder / 'an image.png'
    path.write_bytes(content)
    reader = TRANSFORMS.build(dict(type='LoadImageStrict', **options))
    return reader(dict(img_path=str(path)))


@pytest.mark.parametrize('name', ENCODINGS)
@pytest.mark.parametrize('options', [
    dict(),
    dict(to_float32=True),
    dict(color_type='grayscale'),
    dict(imdecode_backend='pillow')
])
def test_pixels_are_the_hosts(tmp_path, name, options):
    found = read(tmp_path, ENCODINGS[name], **options)
    expected = LoadImageFromFile(**options)(dict(img_path=found['img_path']))
    np.testing.assert_equal(found, expected)
    assert found['img'].dtype == expected['img'].dtype


@pytest.mark.parametrize(('content', 'reason'),
                         [(b'', 'the file is empty'),
                          (b'<html></html>', 'in no format known here'),
                          (encoded('PNG')[:3000], 'damaged'),
                          (encoded('JPEG')[:-1], 'cut off'),
                          (encoded('WEBP')[:800], 'damaged')])
def test_the_file_is_named(tmp_path, content, reason):
    words = f"an image.png' cannot be read: .*{reason}"
    with pytest.raises(ImageError, match=words):
        read(tmp_path, content)


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(ImageError, match='Is a direct'):
        LoadImageStrict()(dict(img_path=str(tmp_path)))


def test_ignoring_is_the_users_choice(tmp_path):
    assert read(tmp_path, b'x', ignore_empty=True) is None


def test_memory_is_no_fault_of_the_file(tmp_path, monkeypatch):

    def out_of_memory(*_, **__):
        raise MemoryError

    monkeypatch.setattr(mmcv, 'imfrombytes', out_of_memory)
    with pytest.raises(MemoryError):
        read(tmp_path, encoded('PNG'))


class _Files(list):

    def __getitem__(self, i):
        return LoadImageStrict()(dict(img_path=super().__getitem__(i)))


@pytest.mark.parametrize('workers', [0, 1])
def test_one_sentence_comes_through_the_workers(workers):
    loader = DataLoader(_Files(['no such.png']), num_workers=workers)
    with pytest.raises(ImageError) as caught:
        next(iter(loader))
    assert str(caught.value) == (
        "image 'no such.png' cannot be read: the file does not exist")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
