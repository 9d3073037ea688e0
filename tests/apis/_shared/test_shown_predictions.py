from pathlib import Path
from types import SimpleNamespace as Namespace

import pytest
import torch

from mmcls_repmlp.apis._shared import shown_predictions
from mmcls_repmlp.apis._shared.shown_predictions import ShowPredictions
from mmcls_repmlp.host import DataSample


@pytest.fixture
def show(monkeypatch):
    """Show what is predicted; give the names of the pictures."""
    drawn = []

    def draw(visualizer, image, sample, out_file, rescale_factor):
        assert image.shape == (3, 4, 3) and rescale_factor == 7
        assert visualizer.dataset_meta == dict(classes=('cat', ))
        assert out_file.parent == Path('shown')
        drawn.append(out_file.name)

    monkeypatch.setattr(shown_predictions, 'draw', draw)

    def run(paths, *parts):
        show_predictions(paths, *parts)
        return drawn

    return run


def show_predictions(paths, *parts):
    runner = Namespace(
        visualizer=Namespace(dataset_meta=dict(classes=('cat', ))),
        test_loop=Namespace(
            dataloader=Namespace(dataset=Namespace(datasets=list(parts)))))
    hook = ShowPredictions('shown', side=32)
    hook.before_test(runner)
    hook.after_test_iter(runner, 0, dict(inputs=torch.ones(9, 3, 3, 4)), [
        DataSample(
            metainfo=dict(
                sample_idx=i, **(dict(img_path=path) if path else {})))
        for i, path in enumerate(paths)
    ])


@pytest.mark.parametrize(
    ('paths', 'names'),
    [(['d/a/1.png', 'd/b/1.png', 'd/a/1.jpg'
       ], ['a_1.png.png', 'b_1.png.png', 'a_1.jpg.png']),
     (['d/a b/é/1.png'], ['a b_é_1.png.png']),
     (['d/a_b/c', 'd/a/b_c', 'd/a/b_c'
       ], ['a_b_c.png', 'a_b_c_000001.png', 'a_b_c_000002.png']),
     (['../d/e/f.png'], ['.._.._d_e_f.png.png']),
     ([None, None], ['000000.png', '000001.png'])])
def test_every_image_has_a_name_of_its_own(show, paths, names):
    assert show(paths, Namespace(img_prefix='d')) == names


def test_names_are_not_too_long(show):
    name, = show([f'd/{"é" * 120}.png'], Namespace(img_prefix='d'))
    assert name.endswith('é.png.png') and len(name.encode()) < 255


def test_below_the_folder_that_all_parts_share(show):
    assert show(['d/x/a', 'd/y/a'], Namespace(img_prefix='d/x'),
                Namespace(data_root='d/y')) == ['x_a.png', 'y_a.png']
