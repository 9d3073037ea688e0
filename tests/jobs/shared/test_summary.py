from types import SimpleNamespace

import pytest

from mmcls_repmlp.jobs.shared.config import (build_loop, build_runner,
                                             read_config, set_loader_defaults)
from mmcls_repmlp.jobs.shared.summary import summarize_test, summarize_training


@pytest.fixture
def runner(project, work_dir):
    options = {'work_dir': work_dir, 'train_cfg.max_epochs': 1}
    cfg = read_config(project.config, options)
    set_loader_defaults(cfg)
    return build_runner(cfg, verbose=False)


def rows(text):
    return dict(line.split(maxsplit=1) for line in text.splitlines())


def test_a_training(runner, digits, monkeypatch):
    monkeypatch.setattr('torch.get_num_threads', lambda: 1)
    for name in ('train', 'val'):
        build_loop(runner, name)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    count = sum(weight.numel() for weight in runner.model.parameters())
    expected = dict(
        model=f'RepMLPNet, training form, {count / 1e6:.2f} M parameters, '
        '32x32 pixels',
        data=f'40 images to train on, 20 to validate, in {digits}',
        classes='10: 0, 1, 2, ...',
        schedule='1 epoch of 3 iterations, batches of 16',
        optimizer='AdamW, learning rate up to 0.002',
        start='from new weights',
        seed='0',
        device='cpu, 1 thread',
        log=runner.logger.log_file)
    assert rows(summarize_training(runner)) == expected
    runner.optim_wrapper = SimpleNamespace()  # several, or one not yet built
    runner._load_from = 'a.pth'
    for resume, words in ((True, 'resuming'), (False, 'weights of')):
        runner._resume = resume
        assert rows(summarize_training(runner)) == dict(
            expected, optimizer='SimpleNamespace', start=f'{words} a.pth')


def test_a_test(runner, digits):
    build_loop(runner, 'test')
    found = rows(summarize_test(runner, 'a.pth'))
    assert found['weights'] == 'a.pth'
    assert found['data'] == f'20 images to test on, in {digits}'
    assert [*found] == ['model', 'weights', 'data', 'classes', 'device', 'log']
