import io

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from matplotlib.figure import Figure

from mmcls_repmlp.jobs.shared import pictures
from mmcls_repmlp.jobs.shared.pictures import (PictureNames, fonts_for,
                                               to_picture)


def test_folders_become_part_of_the_name():
    names = PictureNames('d')
    given = {
        'd/a b/é.png': 'a b_é.png.png',
        'd/b/1.png': 'b_1.png.png',
        'd/b_1.png': 'b_1.png_000002.png',
        '../d/e.png': '.._.._d_e.png.png',
    }
    assert [names.of(path, i)
            for i, path in enumerate(given)] == [*given.values()]
    assert names.of('d/b/1.png', 9) == 'b_1.png_000009.png'
    name = names.of(f'd/{"é" * 120}.png', 0)
    assert name.endswith('é.png.png') and len(name.encode()) < 255


@pytest.mark.parametrize('bgr', [True, False])
@pytest.mark.parametrize('norm', [True, False])
def test_a_pipelines_image_looks_as_its_file(bgr, norm):
    rgb = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 9
    image = rgb[..., ::-1] if bgr else rgb
    data = dict(img=image)
    if norm:
        mean, std = np.array([9., 8., 7.]), np.array([3., 5., 2.])
        data['img'] = ((image - mean) / std).astype(np.float32)
        data['img_norm_cfg'] = dict(mean=mean, std=std, to_rgb=False)
    np.testing.assert_array_equal(to_picture(data, bgr), rgb)


@pytest.mark.parametrize('shape', [(2, 3), (2, 3, 1)])
def test_a_grey_image_has_three_equal_channels(shape):
    image = np.arange(6, dtype=np.uint8).reshape(shape)
    shown = to_picture(dict(img=image), bgr=True)
    np.testing.assert_array_equal(shown, image.reshape(2, 3, 1).repeat(3, 2))


@pytest.fixture
def font(tmp_path):
    """A font with one letter, that of no other here."""
    builder = FontBuilder(1000)
    builder.setupGlyphOrder(['.notdef', 'cat'])
    builder.setupCharacterMap({ord('\U00012345'): 'cat'})
    pen = TTGlyphPen(None)
    for point in ((0, 0), (0, 500), (500, 500)):
        (pen.lineTo if point[1] else pen.moveTo)(point)
    pen.closePath()
    builder.setupGlyf({
        '.notdef': TTGlyphPen(None).glyph(),
        'cat': pen.glyph()
    })
    builder.setupHorizontalMetrics({'.notdef': (600, 0), 'cat': (600, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable(dict(familyName='Cats', styleName='Regular'))
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / 'cats.ttf')
    return tmp_path / 'cats.ttf'


def test_fonts_are_found_for_all_letters_or_it_is_said(font, monkeypatch,
                                                       capsys):
    monkeypatch.setattr(font_manager.fontManager, 'ttflist',
                        [*font_manager.fontManager.ttflist])
    monkeypatch.setattr(pictures, 'findSystemFonts', lambda: [str(font)])
    pictures._families.cache_clear()
    pictures._add_new_fonts.cache_clear()
    for _ in range(2):
        with fonts_for(['cat', '\U00012345', '\U00012346']) as families:
            assert families[-1] == 'Cats'
            figure = Figure()
            figure.text(0, 0, '\U00012345 cat \U00012346')
            figure.savefig(io.BytesIO())
    err = capsys.readouterr().err
    assert err.count("no installed font has the letters '\U00012346'") == 1
    with fonts_for(['cat']) as families:
        assert 'Cats' not in families
