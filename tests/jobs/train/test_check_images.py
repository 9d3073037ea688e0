import pytest

from mmcls_repmlp.jobs.train import check_images as check_data
from mmcls_repmlp.jobs.train.train import train
from repmlp_lite.errors import JobFailedError
from tests.helpers import quick_loaders


@pytest.fixture
def run(project, data, work_dir):

    def check(**options):
        changed = {
            f'{phase}_dataloader.{key.replace("__", ".")}': value
            for phase in ('train', 'val')
            for key, value in options.items()
        }
        train(
            project.config,
            work_dir,
            check_data=True,
            cfg_options=quick_loaders(data) | changed)

    return check


@pytest.mark.parametrize('workers', [0, 1])
def test_all_are_named_before_the_first_step(run, data, workers, tmp_path):
    for name in ('train/3/a.png', 'val/9/b.png'):
        (data / name).write_text('no image')
    (data / 'train' / '4' / 'c.jpg').touch()
    with pytest.raises(JobFailedError) as caught:
        run(num_workers=workers)
    message = str(caught.value)
    assert message.startswith('3 images cannot be read: image ')
    assert all(
        name in message
        for name in ('/3/a.png', '/9/b.png', '/4/c.jpg', 'the file is empty'))
    assert not list(tmp_path.rglob('*.pth'))


def test_the_first_ten_are_named_also_if_a_pipeline_passes_them_over(
        run, data):
    for label in range(10):
        for name in 'ab':
            (data / 'val' / str(label) / f'{name}.png').touch()
    with pytest.raises(JobFailedError, match='^20 images .*; and 10 more$'):
        run(dataset__pipeline__0__ignore_empty=True)


def test_whole_data_is_trained_on(run, monkeypatch):
    lines = []
    monkeypatch.setattr(check_data, 'say', lines.append)
    run()
    assert lines == ['60 images can be read']
