from pathlib import Path
from types import SimpleNamespace as Namespace

import torch

from mmcls_repmlp.host import DataSample
from mmcls_repmlp.jobs.testing import show_predictions as module
from mmcls_repmlp.jobs.testing.show_predictions import ShowPredictions


def test_names_and_colours(monkeypatch):
    names, colours = [], []

    def draw(visualizer, image, sample, out_file, rescale_factor, fonts):
        assert image.shape == (32, 64, 3) and rescale_factor == 7
        assert visualizer.dataset_meta == dict(classes=('cat', ))
        assert out_file.parent == Path('shown') and fonts[0] == 'monospace'
        names.append(out_file.name)
        colours.append(image[0, 0].tolist())

    monkeypatch.setattr(module, 'draw', draw)
    dataset = Namespace(
        datasets=[
            Namespace(data_prefix=dict(img_path='d/x')),
            Namespace(data_root='d/y')
        ],
        metainfo=dict(classes=('cat', )))
    hook = ShowPredictions('shown')
    hook.before_test(Namespace(test_dataloader=Namespace(dataset=dataset)))
    samples = [
        DataSample(metainfo=dict(sample_idx=i, img_path=path))
        for i, path in enumerate(['d/x/a', 'd/x_a', 'd/y/a', None])
    ]
    images = torch.tensor([0., 1., 255.]).reshape(3, 1, 1).expand(4, 3, 32, 64)
    hook.after_test_iter(None, 0, dict(inputs=images), samples)
    # Images without a path are numbered; files are read as BGR.
    assert names == ['x_a.png', 'x_a_000001.png', 'y_a.png', '000003.png']
    assert colours == [[255, 1, 0]] * 4
    held = Namespace(
        metainfo={}, get_data_info=lambda i: dict(img=1), img_prefix='')
    hook.before_test(Namespace(test_dataloader=Namespace(dataset=held)))
    assert not hook.bgr
