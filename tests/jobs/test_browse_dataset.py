import mmcv
import numpy as np
import pytest
from PIL import Image

from mmcls_repmlp.host import DATASETS
from mmcls_repmlp.jobs.browse_dataset import browse_dataset
from repmlp_lite.errors import UserError
from tests.host_parts import BaseDataset

# One pixel of each colour: swapped channels or a normalisation that is left in
# show others.
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
        type='ImageFolder',
        data_root=str(tmp_path / 'coloured'),
        pipeline=[LOAD, FLIP, NORMALIZE, PACK])


@DATASETS.register_module()
class Pixels(BaseDataset):
    """One sample that is not in a file."""

    def __init__(self, pixels, pipeline, classes=('cat', 'dog'), **info):
        self.info = dict(img=pixels, **info)
        super().__init__(
            ann_file='', metainfo=dict(classes=classes), pipeline=pipeline)

    def load_data_list(self):
        return [self.info]


@pytest.fixture
def browse(project, tmp_path, figures):
    """Browse a data set; give names and pixels of its pictures, and titles."""

    def run(dataset, mode='transformed'):
        options = {'train_dataloader.dataset': dict(dataset, _delete_=True)}
        written = browse_dataset(
            project.config, tmp_path / 'out', mode=mode, cfg_options=options)
        assert len(written) == len(figures)
        panels = [[(axes.get_title(), axes.images[0].get_array())
                   for axes in figure.axes] for figure in figures]
        return panels, [figure.get_suptitle() for figure in figures]

    return run


def assert_shown(panels, names, pictures):
    for row in panels:
        assert [name for name, _ in row] == names
        np.testing.assert_array_equal([image for _, image in row], pictures)


@pytest.mark.parametrize(('mode', 'steps'), [('original', [0]),
                                             ('transformed', [2]),
                                             ('concat', [0, 2]),
                                             ('pipeline', [0, 1, 2])])
def test_colours_look_as_in_the_file(coloured, browse, mode, steps):
    panels, titles = browse(coloured, mode)
    assert titles == ['0 (cat)', '1 (dog)']
    names = ['LoadImageStrict', 'RandomFlip', 'Normalize']
    pictures = [COLOURS, COLOURS[:, ::-1], COLOURS[:, ::-1]]
    assert_shown(panels, [names[i] for i in steps],
                 [pictures[i] for i in steps])


@pytest.mark.parametrize(('info', 'title'), [
    (dict(gt_label=[0, 1]), '0 (cat), 1 (dog)'),
    (dict(gt_label=1, classes=()), '1'),
    ({}, ''),
])
def test_data_sets_that_hold_pixels_hold_rgb(browse, info, title):
    panels, titles = browse(
        dict(type='Pixels', pixels=COLOURS, pipeline=[FLIP, PACK], **info),
        'pipeline')
    assert titles == [title]
    assert_shown(panels, ['data set', 'RandomFlip'],
                 [COLOURS, COLOURS[:, ::-1]])


def test_samples_are_spread_over_the_data_set(project, tmp_path, terminal):

    def browse(phase, **options):
        options['cfg_options'] = {f'{phase}_dataloader.dataset.indices': 6}
        return browse_dataset(
            project.config, tmp_path / 'a', phase=phase, **options)

    written = browse('val', number=3)
    assert [int(path.name[:6]) for path in written] == [0, 2, 5]
    assert '3/3' in terminal.getvalue()
    assert min(mmcv.imread(str(written[0])).shape[:2]) >= 224
    everything = browse('test', number=99, force=True)
    assert sorted((tmp_path / 'a').iterdir()) == everything
    assert len(everything) == 6


@pytest.mark.parametrize(('arguments', 'message'), [
    (dict(number=0), '0 samples'),
    (dict(cfg_options=dict(train_dataloader=None)), 'no train_dataloader'),
    (dict(out_dir='.'), 'not empty.*force=True'),
    (dict(out_dir='old.png'), 'not a folder that you may write to'),
])
def test_wrong_arguments(project, old, arguments, message):
    with pytest.raises(UserError, match=message):
        browse_dataset(project.config, **{'out_dir': 'out', **arguments})
