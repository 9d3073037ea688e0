import pytest

from mmcls_repmlp.apis._before_training import check_data
from mmcls_repmlp.apis.train import train
from mmcls_repmlp.errors import JobFailedError


def run(project, data, work_dir, **options):
    train(
        project.config,
        work_dir,
        check_data=True,
        cfg_options={
            f'{phase}_dataloader.{key}': value
            for phase in ('train', 'val')
            for key, value in {
                'dataset.data_root': str(data),
                **options
            }.items()
        })


@pytest.mark.parametrize('workers', [0, 1])
def test_all_are_named_before_the_first_step(project, data, work_dir, workers,
                                             tmp_path):
    for name in ('train/3/a.png', 'val/9/b.png'):
        (data / name).write_text('no image')
    (data / 'train' / '4' / 'c.jpg').write_bytes(b'')
    with pytest.raises(JobFailedError) as caught:
        run(project, data, work_dir, num_workers=workers)
    message = str(caught.value)
    assert message.startswith('3 images cannot be read: image ')
    assert all(
        name in message
        for name in ('/3/a.png', '/9/b.png', '/4/c.jpg', 'the file is empty'))
    assert not list(tmp_path.rglob('*.pth'))


def test_the_first_ten_are_named(project, data, work_dir):
    for label in range(10):
        for name in 'ab':
            (data / 'val' / str(label) / f'{name}.png').write_text('')
    with pytest.raises(JobFailedError, match='^20 images .*; and 10 more$'):
        run(project, data, work_dir)


def test_what_a_pipeline_would_pass_over_is_named(project, data, work_dir):
    (data / 'train' / '3' / 'a.png').write_text('')
    with pytest.raises(JobFailedError, match='1 images cannot be read'):
        run(project, data, work_dir,
            **{'dataset.pipeline.0.ignore_empty': True})


def test_whole_data_is_trained_on(project, data, work_dir, monkeypatch):
    lines = []
    monkeypatch.setattr(check_data, 'print_log',
                        lambda line, *_: lines.append(line))
    run(project, data, work_dir)
    assert lines == ['60 images can be read']
