import mmcv
import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from mmcls_repmlp.host import DATASETS
from mmcls_repmlp.jobs.browse_dataset import browse_dataset
from repmlp_lite.errors import JobFailedError, UserError
from tests.host_parts import BaseDataset

# One pixel of each colour: whoever swaps channels or leaves the normalisation
# in, shows others.
COLOURS = np.array(
    [[[250, 20, 30], [10, 240, 60]], [[40, 50, 230], [0, 90, 255]]],
    np.uint8)  # RGB
LOAD = dict(type='LoadImageFromFile')
FLIP = dict(type='RandomFlip', prob=1.)
NORMALIZE = dict(
    type='Normalize', mean=[10., 20., 30.], std=[4., 5., 6.], to_rgb=True)
PACK = dict(type='PackClsInputs')


@pytest.fixture
def coloured(tmp_path):
    """A data set of two classes with an image each, of all colours."""
    for label in ('cat', 'dog'):
        (tmp_path / 'coloured' / label).mkdir(parents=True)
        Image.fromarray(COLOURS).save(tmp_path / 'coloured' / label / 'a.png')
    return dict(
        type='CustomDataset',
        data_root=str(tmp_path / 'coloured'),
        pipeline=[LOAD, FLIP, NORMALIZE, PACK])


@DATASETS.register_module()
class Pixels(BaseDataset):
    """One sample that is not in a file."""

    def __init__(self, pixels, pipeline, **info):
        self.info = dict(img=pixels, **info)
        super().__init__(
            ann_file='',
            metainfo=dict(classes=('cat', 'dog')),
            pipeline=pipeline)

    def load_data_list(self):
        return [self.info]


@pytest.fixture
def browse(project, tmp_path, monkeypatch):
    """Browse a data set; give the pictures as pixels, and their texts."""
    texts = []
    monkeypatch.setattr(Axes, 'text',
                        lambda self, x, y, text, **_: texts.append(text))

    def run(dataset, mode='transformed'):
        options = {'train_dataloader.dataset': dict(dataset, _delete_=True)}
        written = browse_dataset(
            project.config, tmp_path / 'out', mode=mode, cfg_options=options)
        rows = [
            mmcv.imread(str(path), channel_order='rgb') for path in written
        ]
        # Pixels are drawn as squares, several pictures in a row.
        return [[
            row[56::112, x + 56:x + 224:112]
            for x in range(0, row.shape[1], 232)
        ] for row in rows], texts

    return run


@pytest.mark.parametrize(('mode', 'steps'), [('original', [0]),
                                             ('transformed', [2]),
                                             ('concat', [0, 2]),
                                             ('pipeline', [0, 1, 2])])
def test_colours_look_as_in_the_file(coloured, browse, mode, steps):
    shown, texts = browse(coloured, mode)
    names = ['LoadImageStrict', 'RandomFlip', 'Normalize']
    captions = [names[i] for i in steps] if len(steps) > 1 else []
    assert texts == [
        *captions, 'Ground truth: 0 (cat)', *captions, 'Ground truth: 1 (dog)'
    ]
    pictures = [COLOURS, COLOURS[:, ::-1], COLOURS[:, ::-1]]
    np.testing.assert_array_equal(shown, [[pictures[i] for i in steps]] * 2)


def test_data_sets_that_hold_others(coloured, browse):
    folds = dict(
        type='KFoldDataset', dataset=coloured, num_splits=2, test_mode=True)
    both = dict(type='ConcatDataset', datasets=[coloured, folds])
    shown, texts = browse(both)
    assert texts == [f'Ground truth: {i}' for i in ('0 (cat)', '1 (dog)')
                     ] + ['Ground truth: 0 (cat)']
    np.testing.assert_array_equal(shown, [[COLOURS[:, ::-1]]] * 3)


@pytest.mark.parametrize(
    ('label', 'said'), [(dict(gt_label=1), 'Ground truth: 1 (dog)'), ({}, '')])
def test_data_sets_that_hold_pixels_hold_rgb(browse, label, said):
    shown, texts = browse(
        dict(type='Pixels', pixels=COLOURS, pipeline=[FLIP, PACK], **label),
        'pipeline')
    assert texts == ['data set', 'RandomFlip', said]
    np.testing.assert_array_equal(shown, [[COLOURS, COLOURS[:, ::-1]]])


def test_samples_are_spread_over_the_classes(project, tmp_path, terminal):
    written = browse_dataset(project.config, tmp_path / 'a', 'val', 10)
    assert [int(path.name[:6])
            for path in written] == [0, 2, 4, 6, 8, 11, 13, 15, 17, 19]
    assert '10/10' in terminal.getvalue()
    everything = browse_dataset(
        project.config, tmp_path / 'a', 'test', 99, force=True)
    assert sorted((tmp_path / 'a').iterdir()) == everything
    assert len(everything) == 20


@pytest.mark.parametrize(('arguments', 'message'), [
    (dict(number=0), '0 samples'),
    (dict(cfg_options=dict(train_dataloader=None)), 'no train_dataloader'),
    (dict(cfg_options={'train_dataloader.dataset.data_root': '/nowhere'}),
     "train data set in '/nowhere' cannot be read"),
    (dict(cfg_options={'train_dataloader.dataset.type': 'NoSuchSet'}),
     'NoSuchSet'),
    (dict(out_dir='.'), 'not empty.*force=True'),
    (dict(out_dir='old.png'), 'is a file: name a folder'),
    (dict(out_dir='old.png/more'), 'no folder that you may write to'),
])
def test_wrong_arguments(project, old, arguments, message):
    with pytest.raises(UserError, match=message):
        browse_dataset(project.config, **{'out_dir': 'out', **arguments})


def test_an_image_that_cannot_be_read(project, data, tmp_path):
    (data / 'val' / '3' / 'a.png').write_text('no image')
    options = {'val_dataloader.dataset.data_root': str(data)}
    with pytest.raises(JobFailedError, match="^image '.*/3/a.png' cannot be"):
        browse_dataset(
            project.config, tmp_path / 'out', 'val', 99, cfg_options=options)
