import pytest
import torch
from mmengine.config import Config

from mmcls_repmlp.jobs.shared import device as device_module
from mmcls_repmlp.jobs.shared.device import (choose_device,
                                             warn_of_slow_bfloat16)
from mmcls_repmlp.jobs.train.train import train
from repmlp_lite.errors import UserError


@pytest.fixture
def gpus(monkeypatch):
    """Pretend that there are so many GPUs; return the one that is set."""
    chosen = []

    def pretend(count):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: count > 0)
        monkeypatch.setattr(torch.cuda, 'device_count', lambda: count)
        monkeypatch.setattr(torch.cuda, 'set_device', chosen.append)
        return chosen

    return pretend


@pytest.mark.parametrize(('device', 'count', 'on_gpu', 'number'), [
    (None, 0, False, []),
    (None, 2, True, []),
    ('cpu', 2, False, []),
    ('cuda', 2, True, [0]),
    ('cuda:1', 2, True, [1]),
])
def test_a_device_is_chosen(gpus, device, count, on_gpu, number):
    chosen = gpus(count)
    cfg = Config(dict(train_dataloader=dict(num_workers=2)))
    assert choose_device(cfg, device, 'none') is on_gpu
    assert chosen == number
    pinned = cfg.train_dataloader.get('pin_memory')
    assert pinned is (False if device == 'cpu' else None)


@pytest.mark.parametrize(('device', 'count', 'launcher', 'words'), [
    ('cuda', 0, 'none', 'device=cuda` is not here: choose cpu; no GPU is av'),
    ('cuda:2', 2, 'none', 'choose cpu, or cuda:0 to cuda:1'),
    ('gpu', 1, 'none', 'device=gpu` is not here: choose cpu, or'),
    ('cpu', 1, 'pytorch', 'device=cpu` is for one process'),
])
def test_what_is_not_there_is_refused(gpus, device, count, launcher, words):
    gpus(count)
    with pytest.raises(UserError, match=words):
        choose_device(Config({}), device, launcher)


def test_a_cpu_beside_a_gpu_trains_and_tests(project, work_dir, gpus,
                                             monkeypatch):
    # mmengine would move the model to the device that it has found.
    monkeypatch.setattr('mmengine.runner.runner.get_device', lambda: 'meta')
    model = train(project.config, work_dir, device='cpu', epochs=1)
    assert {p.device.type for p in model.parameters()} == {'cpu'}


@pytest.mark.parametrize(('flags', 'warns'), [
    ('fpu avx2 avx512f', True),
    ('fpu avx512f avx512_bf16 sha_ni', False),
    ('fpu amx_bf16', False),
    (None, False),
])
def test_bfloat16_without_instructions_is_warned_of(tmp_path, monkeypatch,
                                                    capsys, flags, warns):
    path = tmp_path / 'cpuinfo'
    if flags:
        path.write_text(f'flags\t\t: {flags}\n')
    monkeypatch.setattr(device_module, '_CPU_INFO', path)
    warn_of_slow_bfloat16('drop it')
    said = capsys.readouterr().err
    assert ('no instructions for bfloat16' in said) is warns
    assert said.endswith(': drop it\n' if warns else '')
