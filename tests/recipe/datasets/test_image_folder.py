import shutil
from pathlib import Path

import cv2
import pytest
from mmengine.registry import init_default_scope
from PIL import Image

from mmcls_repmlp.host import build_dataset
from mmcls_repmlp.recipe.datasets import ImageNetFolder
from mmcls_repmlp.recipe.datasets import image_folder as folders
from mmcls_repmlp.recipe.datasets.image_folder import readable_suffixes
from mmcls_repmlp.recipe.transforms import LoadImageStrict
from repmlp_lite.errors import ConfigError


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmcls')


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(folders, 'print_log',
                        lambda line, *_: lines.append(line))
    return lines


def make(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def build(root, type='ImageFolder', **options):
    return build_dataset(dict(type=type, data_root=str(root), **options))


def found(dataset):
    root = dataset.img_prefix.rstrip('/') + '/'
    infos = map(dataset.get_data_info, range(len(dataset)))
    return [(info['img_path'].removeprefix(root), info['gt_label'])
            for info in infos]


def test_hidden_folders_are_no_classes(tmp_path, said):
    data = build(
        make(tmp_path, 'b/1.png', 'a/deep/2.png', 'a/.git/3.png',
             '.ipynb_checkpoints/1.png', '__MACOSX/b/1.png', '@eaDir/x.txt',
             'b/.DS_Store', 'b/._1.png'))
    assert data.metainfo['classes'] == ('a', 'b')
    assert found(data) == [('a/deep/2.png', 0), ('b/1.png', 1)]
    assert not said


def test_what_is_left_out_is_counted_and_named(tmp_path, said):
    data = build(
        make(tmp_path, 'a/1.png', 'a/n.txt', 'b/x/y.heic', 'z.png', 'b/1',
             'readme.txt', 'c/2.png'))
    assert len(data) == 2
    assert said[0].startswith("left out of '")
    assert '4 files (z.png, a/n.txt, b/1, ...): images are in' in said[0]
    assert '1 subfolders' in said[1] and '(b)' in said[1]


def test_suffixes_are_those_that_can_be_read(tmp_path, said):
    make(tmp_path, 'a/1.webp', 'a/2.JPG', 'a/3.gif', 'a/4.jfif', 'a/5.tiff')
    assert len(build(tmp_path)) == 5
    assert len(build(tmp_path, extensions=('.gif', ))) == 1
    assert len(said) == 1 and '4 files' in said[0]


@pytest.mark.parametrize(('classes', 'labels'),
                         [(None, [0, 1]), ('ab', [0, 1]), ('bxa', [2, 0]),
                          ('ba', [1, 0]), (['ant', 'bee'], [0, 1])])
def test_labels_go_by_the_classes_given(tmp_path, said, classes, labels):
    data = build(
        make(tmp_path, 'a/1.png', 'b/2.png'), classes=classes and [*classes])
    assert [label for _, label in found(data)] == labels
    assert data.metainfo['classes'] == tuple(classes or 'ab')
    assert bool(said) == (labels != [0, 1])


@pytest.mark.parametrize('classes',
                         [['a'], ['a', 'x'], ['x', 'y', 'z'], ['a', 'b', 'b']])
def test_classes_that_do_not_go_with_the_folders(tmp_path, classes):
    words = f'2 subfolders of .* are none of the {len(classes)} classes given'
    with pytest.raises(ConfigError, match=words):
        build(make(tmp_path, 'a/1.png', 'b/2.png'), classes=classes)


def test_no_image(tmp_path):
    with pytest.raises(RuntimeError, match='there is no image in its 1 '):
        build(make(tmp_path, '1.png', 'a/x.txt'))


def test_lists_may_have_byte_order_marks(tmp_path):
    make(tmp_path, 'a/1.png', 'b/2.png')
    (tmp_path / 'list.txt').write_bytes(b'\xef\xbb\xbfb/2.png 0\r\n')
    (tmp_path / 'names.txt').write_bytes(b'\xef\xbb\xbfb\r\na\r\n')
    names = str(tmp_path / 'names.txt')
    data = build(tmp_path, ann_file='list.txt', classes=names)
    assert found(data) == [('b/2.png', 0)]
    assert data.metainfo['classes'] == ('b', 'a')
    (tmp_path / 'list.txt').write_text('a/1.png 2')
    with pytest.raises(ConfigError, match='line 1 of .* count from 0 to 1'):
        build(tmp_path, ann_file='list.txt', classes=names)


def test_links_are_followed_once_and_none_is_passed_over(tmp_path, said):
    make(tmp_path, 'real/1.png', 'real/2.png', 'data/b/1.png')
    for link, to in (('a', tmp_path / 'real'), ('b/0.png', 'gone.png'),
                     ('b/a', '../a'), ('b/up', '.')):
        (tmp_path / 'data' / link).symlink_to(to)
    assert found(build(tmp_path / 'data')) == [('a/1.png', 0), ('a/2.png', 0),
                                               ('b/0.png', 1), ('b/1.png', 1),
                                               ('b/a/1.png', 1),
                                               ('b/a/2.png', 1)]
    assert not said


def test_other_storage_is_listed_by_the_host(tmp_path, monkeypatch):
    make(tmp_path, 'a/deep/1.png', 'b/2.png')
    monkeypatch.setattr(folders, 'LocalBackend', int)
    assert found(build(tmp_path)) == [('a/deep/1.png', 0), ('b/2.png', 1)]


def test_a_share_without_parts_has_no_effect(tmp_path, said):
    make(tmp_path, 'a/1.png', 'b/2.png')
    build(tmp_path, part='train', val_share=0.)
    assert not said
    build(tmp_path, val_share=0.5)
    assert said == ['val_share=0.5 has no effect without part: set part to '
                    'train or val']  # yapf: disable


def test_a_missing_file_of_names_is_named(tmp_path):
    make(tmp_path, 'a/1.png')
    with pytest.raises(ConfigError, match="cannot be read from 'no.txt'"):
        build(tmp_path, classes='no.txt')


def test_imagenet_keeps_its_names(imagenet):
    data = build(
        imagenet, 'ImageNetFolder', ann_file='meta/val.txt', data_prefix='val')
    assert isinstance(data, ImageNetFolder)
    assert len(data.metainfo['classes']) == 1000
    assert found(data) == [('0.JPEG', 3), ('1.JPEG', 14)]


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
    monkeypatch.setattr(cv2, 'haveImageWriter', 'image.png'.__eq__)
    assert readable_suffixes.__wrapped__() == ('.png', )


@pytest.fixture
def pictures(tmp_path):
    """Three hundred small files of two classes, each with its own content."""
    for i in range(300):
        path = make(tmp_path / 'photos', f'{"ab"[i % 2]}/{i}.png')
        (path / f'{"ab"[i % 2]}/{i}.png').write_text(f'picture {i}')
    return tmp_path / 'photos'


def contents(root, part):
    data = build(root, part=part)
    infos = map(data.get_data_info, range(len(data)))
    return {Path(info['img_path']).read_text() for info in infos}


def test_files_decide_alone_whether_they_are_held_out(pictures, tmp_path):
    val, train = contents(pictures, 'val'), contents(pictures, 'train')
    assert len(train | val) == 300 and not train & val
    assert 45 <= len(val) <= 75  # the share, within two deviations
    # Remove, rename, move to another class, add a class of copies, and move
    # all of it.
    for i in range(0, 60, 2):
        (pictures / f'a/{i}.png').unlink()
    (pictures / 'a/60.png').rename(pictures / 'a/zzz.png')
    (pictures / 'a/62.png').rename(pictures / 'b/62.png')
    shutil.copytree(pictures / 'a', pictures / '0/deep')
    (pictures / 'b').rename(pictures / 'A')
    pictures.rename(tmp_path / 'elsewhere')
    (tmp_path / 'link').symlink_to('elsewhere')
    gone = {f'picture {i}' for i in range(0, 60, 2)}
    assert contents(tmp_path / 'link', 'val') == val - gone
    assert contents(tmp_path / 'link', 'train') == train - gone


def test_files_without_content_are_split_by_name(tmp_path, said):
    make(tmp_path, *(f'a/{i}.png' for i in range(50)))
    (tmp_path / 'a/gone.png').symlink_to('nowhere')
    sizes = [len(build(tmp_path, part=part)) for part in ('train', 'val')]
    assert sum(sizes) == 51 and min(sizes) > 3


def test_a_class_that_is_not_trained_on_is_named(pictures, said):
    one = build(pictures, part='val').get_data_info(0)['img_path']
    shutil.copytree(Path(one).parent, pictures / 'c')
    for path in pictures.glob('c/*'):
        if path.name != Path(one).name:
            path.unlink()
    build(pictures, part='val')
    assert not said
    build(pictures, part='train')
    assert 'of 1 classes' in said[0] and 'none is trained on (c)' in said[0]


NFC, NFD = 'caf\xe9', 'cafe\u0301'


def test_names_are_compared_as_they_look(tmp_path):
    make(tmp_path, f'{NFD}/1.png', 'cafz/2.png')
    assert build(tmp_path).metainfo['classes'] == ('cafz', NFC)
    names = tmp_path / 'names.txt'
    names.write_bytes(f'{NFC}  \r\ncafz\n \n\n'.encode())
    data = build(tmp_path, classes=str(names))
    assert data.metainfo['classes'] == (NFC, 'cafz')
    assert found(data) == [('cafz/2.png', 1), (f'{NFD}/1.png', 0)]
    names.write_text(f'{NFC}\n\ncafz')
    with pytest.raises(ConfigError, match="line 2 of '.*names.txt' is empty"):
        build(tmp_path, classes=str(names))
    make(tmp_path, f'{NFC}/3.png')
    with pytest.raises(ConfigError, match=f'have the same name .{NFC}.'):
        build(tmp_path)


def test_parts_are_not_taken_for_classes(tmp_path, said):
    make(
        tmp_path,
        *(f'{part}_set/{name}/1.png' for part in ('train', 'test')
          for name in 'ab'))
    with pytest.raises(ConfigError, match='are parts of the data .test_set'):
        build(tmp_path)
    classes = ['test_set', 'train_set']
    assert len(build(tmp_path, classes=classes)) == 4
    (tmp_path / 'test_set').rename(tmp_path / 'x')
    (tmp_path / 'train_set').rename(tmp_path / 'y')
    assert build(tmp_path).metainfo['classes'] == ('x', 'y')
    assert 'each has the subfolders a, b: if these are' in said[0]
