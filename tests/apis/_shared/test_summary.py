from functools import partial
from types import SimpleNamespace

import pytest

from mmcls_repmlp.apis._shared.config import (build_loop, build_runner,
                                              read_config, set_loader_defaults)
from mmcls_repmlp.apis._shared.summary import (summarize_test,
                                               summarize_training)


@pytest.fixture
def runner(project, work_dir):
    cfg = read_config(project.config, dict(work_dir=work_dir))
    set_loader_defaults(cfg)
    return build_runner(cfg, verbose=False)


def rows(text):
    return dict(line.split(maxsplit=1) for line in text.splitlines())


def test_a_training(runner, digits):
    for name in ('train', 'val'):
        build_loop(runner, name)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    count = sum(weight.numel() for weight in runner.model.parameters())
    found = rows(summarize_training(runner))
    log = found.pop('log')
    assert log == runner.logger.log_file
    assert found.pop('device').startswith('cpu, ')
    assert found == dict(
        model=f'RepMLPNet, training form, {count / 1e6:.2f} M parameters, '
        '32x32 pixels',
        data=f'40 images to train on, 20 to validate, in {digits}',
        classes='10: 0, 1, 2, ...',
        schedule='2 epochs of 3 iterations, batches of 16',
        optimizer='AdamW, learning rate up to 0.002',
        start='from new weights',
        seed='0')


def test_one_is_no_plural(runner, monkeypatch):
    runner._train_loop['max_epochs'] = 1
    runner._train_dataloader['batch_size'] = 40
    build_loop(runner, 'train')
    runner.optim_wrapper = SimpleNamespace()
    monkeypatch.setattr('torch.get_num_threads', lambda: 1)
    found = rows(summarize_training(runner))
    assert found['schedule'] == '1 epoch of 1 iteration, batches of 40'
    assert found['device'] == 'cpu, 1 thread'


def test_what_it_starts_from(runner):
    build_loop(runner, 'train')
    runner.optim_wrapper = SimpleNamespace()  # several, or one not yet built
    for resume, words in ((True, 'resuming a.pth'), (False,
                                                     'weights of a.pth')):
        runner._load_from, runner._resume = 'a.pth', resume
        found = rows(summarize_training(runner))
        assert found['start'] == words
        assert found['optimizer'] == 'SimpleNamespace'


def test_a_test(runner, digits):
    build_loop(runner, 'test')
    found = rows(partial(summarize_test, checkpoint='a.pth')(runner))
    assert found['weights'] == 'a.pth'
    assert found['data'] == f'20 images to test on, in {digits}'
    assert [*found] == ['model', 'weights', 'data', 'classes', 'device', 'log']
