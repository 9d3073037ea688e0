from pathlib import Path
from types import SimpleNamespace as Namespace

import torch

from mmcls_repmlp.host import DataSample
from mmcls_repmlp.jobs.test import show_predictions as shown_predictions
from mmcls_repmlp.jobs.test.show_predictions import ShowPredictions


def test_names_are_of_paths_below_the_folder_that_all_parts_share(monkeypatch):
    drawn = []

    def draw(visualizer, image, sample, out_file, rescale_factor):
        assert image.shape == (3, 4, 3) and rescale_factor == 7
        assert visualizer.dataset_meta == dict(classes=('cat', ))
        assert out_file.parent == Path('shown')
        drawn.append(out_file.name)

    monkeypatch.setattr(shown_predictions, 'draw', draw)
    parts = [Namespace(img_prefix='d/x'), Namespace(data_root='d/y')]
    loader = Namespace(dataset=Namespace(datasets=parts))
    runner = Namespace(
        visualizer=Namespace(dataset_meta=dict(classes=('cat', ))),
        test_loop=Namespace(dataloader=loader))
    hook = ShowPredictions('shown', side=32)
    hook.before_test(runner)
    samples = [
        DataSample(metainfo=dict(sample_idx=i, img_path=path))
        for i, path in enumerate(['d/x/a', 'd/x_a', 'd/y/a', None])
    ]
    batch = dict(inputs=torch.ones(9, 3, 3, 4))
    hook.after_test_iter(runner, 0, batch, samples)
    # What has no path is named by its place.
    assert drawn == ['x_a.png', 'x_a_000001.png', 'y_a.png', '000003.png']
