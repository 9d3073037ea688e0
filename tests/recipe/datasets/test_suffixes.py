import cv2
import pytest
from PIL import Image

from mmcls_repmlp.recipe.datasets.suffixes import readable_suffixes
from mmcls_repmlp.recipe.transforms import LoadImageStrict


@pytest.mark.parametrize('suffix', readable_suffixes())
def test_what_is_called_readable_is_read(tmp_path, suffix):
    path = tmp_path / f'a{suffix}'
    # Of a .dib, Pillow would leave out the header.
    kind = 'BMP' if suffix == '.dib' else None
    Image.new('RGB', (40, 30), (200, 100, 50)).save(path, kind)
    image = LoadImageStrict()(dict(img_path=str(path)))['img']
    assert image.shape == (30, 40, 3)
    assert abs(image.reshape(-1, 3).mean(0) - (50, 100, 200)).max() < 4


def test_what_the_library_lacks_is_left_out(monkeypatch):
    readable_suffixes.cache_clear()
    monkeypatch.setattr(cv2, 'haveImageWriter', lambda name: not name.endswith(
        ('.webp', '.jpg')))
    found = readable_suffixes()
    readable_suffixes.cache_clear()
    assert '.png' in found
    assert not {'.webp', '.jpg', '.jfif'} & set(found)
