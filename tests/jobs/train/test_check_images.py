import pytest

from mmcls_repmlp.jobs.train.train import train
from repmlp_lite.errors import JobFailedError
from tests.helpers import quick_loaders

IGNORE = 'val_dataloader.dataset.pipeline.0.ignore_empty'


@pytest.fixture
def check(project, data, work_dir):

    def check(workers=0, **options):
        options |= quick_loaders(data) | {
            f'{phase}_dataloader.num_workers': workers
            for phase in ('train', 'val')
        }
        train(project.config, work_dir, check_data=True, cfg_options=options)

    return check


@pytest.mark.parametrize('workers', [0, 2])
def test_all_are_named_before_the_first_step(check, data, workers, tmp_path):
    for name in ('train/3/a.png', 'val/9/b.png'):
        (data / name).write_text('no image')
    (data / 'train' / '4' / 'c.jpg').touch()
    with pytest.raises(JobFailedError) as caught:
        check(workers)
    message = str(caught.value)
    assert message.startswith('3 images cannot be read: image ')
    assert all(
        name in message
        for name in ('/3/a.png', '/9/b.png', '/4/c.jpg', 'the file is empty'))
    assert not list(tmp_path.rglob('*.pth'))


def test_the_first_ten_are_named_also_if_a_pipeline_passes_them_over(
        check, data):
    for label in range(10):
        for name in 'ab':
            (data / 'val' / str(label) / f'{name}.png').touch()
    with pytest.raises(JobFailedError, match='^20 images .*; and 10 more$'):
        check(**{IGNORE: True})


def test_whole_data_is_trained_on(check, capsys):
    check()
    assert '\n60 images can be read\n' in capsys.readouterr().out
