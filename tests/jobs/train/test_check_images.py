import pytest

from mmcls_repmlp.jobs.train.train import train
from repmlp_lite.errors import JobFailedError
from tests.helpers import quick_loaders

IGNORE = 'val_dataloader.dataset.pipeline.0.ignore_empty'


@pytest.mark.parametrize('workers', [0, 2])
def test_all_are_named_before_the_first_step(project, data, work_dir, tmp_path,
                                             workers):
    options = quick_loaders(data) | {
        IGNORE: True
    } | {
        f'{phase}_dataloader.num_workers': workers
        for phase in ('train', 'val')
    }
    bad = [data / 'train' / '3' / 'a.png', data / 'val' / '9' / 'b.png']
    bad += [data / 'val' / str(label) / 'c.png' for label in range(10)]
    for path in bad:
        path.touch()
    bad[0].write_text('no image')
    with pytest.raises(JobFailedError) as caught:
        train(
            project.config,
            work_dir,
            check_data=True,
            cfg_options=options,
            no_test=True)
    message = str(caught.value)
    assert message.startswith('12 images cannot be read: image ')
    assert message.endswith('the file is empty; and 2 more')
    assert '/3/a.png' in message
    assert not list(tmp_path.rglob('*.pth'))


def test_an_unreadable_image_names_the_check(project, data, work_dir):
    for path in (data / 'train').glob('*/*'):
        path.write_text('no image')
    with pytest.raises(JobFailedError, match='cannot be read: .*check_data='):
        train(
            project.config,
            work_dir,
            cfg_options=quick_loaders(data),
            no_test=True)


def test_whole_data_is_trained_on(project, work_dir, capsys):
    options = {'train_cfg.max_epochs': 1}
    train(
        project.config,
        work_dir,
        check_data=True,
        cfg_options=options,
        no_test=True)
    assert '\n60 images can be read\n' in capsys.readouterr().out
