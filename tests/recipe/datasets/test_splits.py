import pytest

from mmcls_repmlp.recipe.datasets.splits import find_parts
from repmlp_lite.errors import ConfigError


def make(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def layout(root, *parts, others=()):
    names = [f'{part}/{name}/1.png' for part in parts for name in 'ab']
    return make(root, *names, *others)


@pytest.mark.parametrize('names', [('train', 'val', 'test'),
                                   ('TRAINING', 'Validation', 'Testing'),
                                   ('training_set', 'valid_set', 'test_set'),
                                   ('trainset', 'dev', 'TestData'),
                                   ('seg_train', 'seg_eval', 'seg_test'),
                                   ('images-train', 'VAL', 'test images'),
                                   ('Train', 'Validate', 'Test')])
def test_usual_names_of_parts(tmp_path, names):
    found = dict(zip(('train', 'val', 'test'), names))
    assert find_parts(layout(tmp_path, *names)) == found


@pytest.mark.parametrize(
    'others',
    [
        ('docs/readme.txt', 'labels/a/x.csv'),  # no images
        ('val/a/2.png', 'unlabeled/3.png'),  # val has the same classes
    ])
def test_folders_beside_the_parts(tmp_path, others):
    parts = find_parts(layout(tmp_path, 'train', others=others))
    assert parts['train'] == 'train'


@pytest.mark.parametrize(('parts', 'others'), [
    (('val', 'test'), ()),
    (('train', 'val', 'valid'), ()),
    (('test_set', ), ('cat/1.png', 'dog/1.png')),
    (('train', ), ('car/1.png', 'bus/old/1.png')),
])
def test_two_readings_are_named(tmp_path, parts, others):
    words = ('can be read in two ways: its subfolders .* with the classes a, '
             'b in them; or .* are the classes')
    with pytest.raises(ConfigError, match=words):
        find_parts(layout(tmp_path, *parts, others=others))


def test_parts_may_be_names_of_classes(tmp_path):
    assert not find_parts(
        make(tmp_path, 'test/1.png', 'cat/1.png', 'dog/x/1.png',
             'retrain/1.png', 'devices/1.png', 'contest/y/1.png'))


@pytest.mark.parametrize('names', [('steam train', 'freight train'),
                                   ('covid_test_neg', 'covid_test_pos'),
                                   ('training shoes', 'test tube'),
                                   ('test1', 'test2')])
def test_a_word_in_the_name_of_a_class_is_no_part(tmp_path, names):
    assert not find_parts(make(tmp_path, *(f'{n}/1.png' for n in names)))


def test_classes_may_have_subfolders_of_one_name(tmp_path):
    assert not find_parts(
        make(tmp_path, 'test tube/2021/1.png', 'flask/2021/1.png'))
