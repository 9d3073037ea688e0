import mmcv
import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from mmcls_repmlp.apis.browse_dataset import browse_dataset
from mmcls_repmlp.errors import JobFailedError, UserError
from mmcls_repmlp.host import DATASETS
from tests.host_parts import BaseDataset

# One pixel of each colour: whoever swaps channels or leaves the normalisation
# in, shows others.
COLOURS = np.array(
    [[[250, 20, 30], [10, 240, 60]], [[40, 50, 230], [0, 90, 255]]],
    np.uint8)  # RGB


@pytest.fixture
def coloured(tmp_path):
    folder = tmp_path / 'coloured'
    for label in ('cat', 'dog'):
        (folder / label).mkdir(parents=True)
        Image.fromarray(COLOURS).save(folder / label / 'colours.png')
    return dict(type='CustomDataset', data_root=str(folder))


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

    def run(dataset, *transforms, mode='transformed', load=True):
        inner = dataset
        while 'dataset' in inner:
            inner = inner['dataset']
        steps = [dict(type='LoadImageFromFile')] * load
        for part in inner.get('datasets', [inner]):
            part['pipeline'] = [
                *steps, *transforms,
                dict(type='PackClsInputs')
            ]
        written = browse_dataset(
            project.config,
            tmp_path / 'out',
            mode=mode,
            cfg_options={
                'train_dataloader.dataset': dict(dataset, _delete_=True)
            })
        # Pixels are drawn as squares, several pictures in a row.
        pictures = [
            mmcv.imread(str(path), channel_order='rgb')[56::112]
            for path in written
        ]
        return [[
            picture[:, x + 56:x + 224:112]
            for x in range(0, picture.shape[1], 232)
        ] for picture in pictures], texts

    return run


NORMALIZE = dict(type='Normalize', mean=[10., 20., 30.], std=[4., 5., 6.])


@pytest.mark.parametrize(
    'transforms',
    [[], [dict(**NORMALIZE, to_rgb=True)], [dict(**NORMALIZE, to_rgb=False)]])
def test_colours_look_as_in_the_file(coloured, browse, transforms):
    pictures, texts = browse(coloured, *transforms, mode='pipeline')
    assert len(pictures) == 2
    names = ['LoadImageFromFile', *(step['type'] for step in transforms)]
    assert texts[:len(names)] == [*names] or not transforms
    for row in pictures:
        assert len(row) == len(names)
        for picture in row:
            np.testing.assert_array_equal(picture, COLOURS)


@pytest.mark.parametrize('wrapper', [
    lambda inner: dict(type='RepeatDataset', dataset=inner, times=2),
    lambda inner: dict(
        type='KFoldDataset', dataset=inner, num_splits=2, test_mode=True),
    lambda inner: dict(type='ConcatDataset', datasets=[inner,
                                                       dict(inner)])
])
def test_data_sets_that_hold_others(coloured, browse, wrapper):
    pictures, texts = browse(wrapper(coloured))
    labels = ['Ground truth: 0 (cat)', 'Ground truth: 1 (dog)'] * 2
    assert texts == labels[:len(pictures)]
    for row in pictures:
        np.testing.assert_array_equal(row[0], COLOURS)


@pytest.mark.parametrize(('pixels', 'expected'),
                         [(COLOURS, COLOURS),
                          (COLOURS[..., 0], COLOURS[..., :1].repeat(3, -1))])
def test_data_sets_that_hold_pixels_hold_rgb_or_grey(browse, pixels, expected):
    dataset = dict(type='Pixels', pixels=pixels, gt_label=1)
    step = dict(type='RandomFlip', prob=0.)
    (row, ), texts = browse(dataset, step, mode='pipeline', load=False)
    assert texts == ['data set', 'RandomFlip', 'Ground truth: 1 (dog)']
    for picture in row:
        np.testing.assert_array_equal(picture, expected)


def test_no_class_is_named_without_a_label(browse):
    _, texts = browse(dict(type='Pixels', pixels=COLOURS), load=False)
    assert texts == ['']


@pytest.mark.parametrize(('mode', 'panels'), [('transformed', 1),
                                              ('original', 1), ('concat', 2),
                                              ('pipeline', 4)])
def test_modes(project, tmp_path, mode, panels):
    written = browse_dataset(
        project.config, tmp_path / 'out', number=2, mode=mode)
    assert len(written) == 2
    for path in written:
        assert mmcv.imread(str(path)).shape == (224, 232 * panels - 8, 3)


def test_original_and_transformed_are_what_they_say(project, tmp_path):
    shown = {}
    for mode in ('original', 'transformed'):
        path, = browse_dataset(project.config, tmp_path / mode, 'val', 1, mode)
        shown[mode] = mmcv.imread(str(path), flag='grayscale')
    first = sorted(project.data.glob('val/0/*.png'))[0]
    pixels = mmcv.imread(str(first), flag='grayscale')
    # Below the text, as sharp as they are.
    np.testing.assert_array_equal(shown['original'][56:],
                                  pixels.repeat(28, 0).repeat(28, 1)[56:])
    resized = mmcv.imresize(pixels, (32, 32), interpolation='bicubic')
    np.testing.assert_array_equal(shown['transformed'][56:],
                                  resized.repeat(7, 0).repeat(7, 1)[56:])


def test_samples_are_spread_over_the_classes(project, tmp_path, terminal):
    written = browse_dataset(project.config, tmp_path / 'a', 'val', number=10)
    assert [int(path.name[:6])
            for path in written] == [0, 2, 4, 6, 8, 11, 13, 15, 17, 19]
    assert '10/10' in terminal.getvalue()
    assert len(
        browse_dataset(project.config, tmp_path / 'b', 'test',
                       number=99)) == 20


@pytest.mark.parametrize(('arguments', 'message'), [
    (dict(config='no.py'), 'does not exist'),
    (dict(number=0), '0 samples'),
    (dict(phase='val', cfg_options=dict(val_dataloader=None)),
     'no val_dataloader, only train_dataloader and test_dataloader'),
    (dict(cfg_options={'train_dataloader.dataset.data_root': '/nowhere'}),
     "train data set in '/nowhere' cannot be read"),
    (dict(cfg_options={'train_dataloader.dataset.type': 'NoSuchSet'}),
     'NoSuchSet'),
    (dict(out_dir='full'), 'not empty.*force=True'),
    (dict(out_dir='full/file'), 'is a file: name a folder'),
    (dict(out_dir='full/file/more'), 'no folder that you may write to'),
])
def test_wrong_arguments(project, tmp_path, arguments, message):
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full' / 'file').write_text('precious')
    arguments = {'config': project.config, **arguments}
    out = tmp_path / arguments.pop('out_dir', 'out')
    with pytest.raises(UserError, match=message):
        browse_dataset(out_dir=out, **arguments)
    assert not list(tmp_path.rglob('*.png'))


def test_pictures_are_replaced_by_force(project, tmp_path):
    first, second = (
        browse_dataset(project.config, tmp_path, number=1, force=True)
        for _ in range(2))
    assert first == second


def test_an_image_that_cannot_be_read(project, data, tmp_path):
    (data / 'val' / '3' / 'a.png').write_text('no image')
    with pytest.raises(JobFailedError, match="^image '.*/3/a.png' cannot be"):
        browse_dataset(
            project.config,
            tmp_path / 'out',
            'val',
            99,
            cfg_options={'val_dataloader.dataset.data_root': str(data)})
