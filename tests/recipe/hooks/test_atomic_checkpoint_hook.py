import os
from pathlib import Path

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import nn

from mmcls_repmlp.recipe.hooks.atomic_checkpoint_hook import WholeFilesBackend
from repmlp_lite.errors import JobFailedError

pytestmark = pytest.mark.filterwarnings('ignore')


class Line(BaseModel):
    """Learns a number; as fast to train as can be."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.register_buffer('mask', torch.tensor([-torch.inf]))

    def forward(self, x, mode='tensor'):
        if mode == 'loss':
            return dict(loss=((x @ self.weight - 1)**2).mean())
        return [dict(value=self.weight.detach())]


class Scores(BaseMetric):
    """Give every validation the next scores."""

    def __init__(self, scores):
        super().__init__()
        self.scores = iter(scores)

    def process(self, data_batch, data_samples):
        self.results.append(1)

    def compute_metrics(self, results):
        return next(self.scores)


def train(work_dir, epochs=3, scores=None, hooks=(), resume=None, **options):
    init_default_scope('mmcls')
    samples = [dict(x=torch.ones(3))] * 4
    data = torch.utils.data.DataLoader(samples, batch_size=2)
    val = dict() if scores is None else dict(
        val_dataloader=data, val_cfg=dict(), val_evaluator=[Scores(scores)])
    runner = Runner(
        Line(),
        str(work_dir),
        data,
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(
            checkpoint=dict(
                type='AtomicCheckpointHook', interval=1, **options)),
        custom_hooks=hooks,
        default_scope='mmcls',
        experiment_name=f'{work_dir}'.replace('/', '_'),
        **val)
    if resume:
        runner.resume(str(resume))
    runner.train()


def test_a_file_is_the_old_or_the_new_one(tmp_path, monkeypatch):

    def full(source, target):
        raise OSError(28, 'No space left on device')

    WholeFilesBackend().put(b'old', tmp_path / 'file')
    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(
            JobFailedError, match=r"file' cannot be written \(No space left"):
        WholeFilesBackend().put(b'new', tmp_path / 'file')
    assert [(path.name, path.read_bytes())
            for path in tmp_path.iterdir()] == [('file', b'old')]


def names(folder):
    return sorted(path.name for path in Path(folder).glob('*.pth'))


@pytest.fixture
def touched(monkeypatch, tmp_path):
    """What happens to checkpoints, in order."""
    events = []

    def watch(function):

        def watched(*args, **options):
            if not options and str(args[-1]).endswith(
                ('.pth', 'last_checkpoint')):
                events.append((function.__name__, Path(args[-1]).name,
                               names(tmp_path / 'work')))
            return function(*args, **options)

        return watched

    for name in ('replace', 'remove', 'unlink'):
        monkeypatch.setattr(os, name, watch(getattr(os, name)))
    return events


@pytest.mark.parametrize(
    'options', [dict(), dict(file_client_args=dict(backend='disk'))])
def test_the_old_one_goes_when_the_new_one_is_whole(tmp_path, touched,
                                                    options):
    train(tmp_path / 'work', max_keep_ckpts=1, **options)
    assert [f'{what} {name}' for what, name, _ in touched] == [
        'replace epoch_1.pth', 'replace last_checkpoint',
        'replace epoch_2.pth', 'replace last_checkpoint', 'remove epoch_1.pth',
        'replace epoch_3.pth', 'replace last_checkpoint', 'remove epoch_2.pth'
    ]
    assert all(there for _, _, there in touched[1:])
    assert names(tmp_path / 'work') == ['epoch_3.pth']
    last = (tmp_path / 'work' / 'last_checkpoint').read_text()
    assert last == str(tmp_path / 'work' / 'epoch_3.pth')
    kept = torch.load(last)['message_hub']['runtime_info']['keep_ckpt_ids']
    assert kept == [2, 3]  # 2 went later


def test_the_best_goes_when_the_better_is_whole(tmp_path, touched):
    scores = [dict(acc=score) for score in (1, 3, 2, 4)]
    train(tmp_path / 'work', 4, scores, save_best='acc')
    best = [event for event in touched if event[1].startswith('best_')]
    assert [f'{what} {name}' for what, name, _ in best] == [
        'replace best_acc_epoch_1.pth', 'replace best_acc_epoch_2.pth',
        'remove best_acc_epoch_1.pth', 'replace best_acc_epoch_4.pth',
        'remove best_acc_epoch_2.pth'
    ]
    for event, _, there in best:
        if event == 'remove':
            assert sum(other.startswith('best_') for other in there) == 2
    assert names(tmp_path / 'work')[0] == 'best_acc_epoch_4.pth'


def test_several_best(tmp_path):
    scores = [dict(top=1, acc=9), dict(top=2, acc=8), dict(top=1, acc=7)]
    train(tmp_path / 'work', 3, scores, save_best=['acc', 'top'])
    assert names(tmp_path / 'work')[:2] == [
        'best_acc_epoch_1.pth', 'best_top_epoch_2.pth'
    ]


def test_a_copied_folder_keeps_its_hands_off_the_first(tmp_path):
    first, second = tmp_path / 'first', tmp_path / 'second'
    options = dict(save_best='acc', max_keep_ckpts=1)
    train(first, 1, [dict(acc=1)], **options)
    train(second, 2, [dict(acc=2)], resume=first / 'epoch_1.pth', **options)
    assert names(first) == ['best_acc_epoch_1.pth', 'epoch_1.pth']
    assert names(second) == ['best_acc_epoch_2.pth', 'epoch_2.pth']


def test_weights_that_are_lost_are_not_saved(tmp_path):

    class Lose(Hook):

        def after_train_epoch(self, runner):
            if runner.epoch == 1:
                runner.model.weight.data[1] = torch.inf

    words = '1 of the weights are no longer finite, weight first'
    with pytest.raises(JobFailedError, match=words):
        train(tmp_path / 'work', hooks=[Lose()], max_keep_ckpts=1)
    assert names(tmp_path / 'work') == ['epoch_1.pth']
    saved = torch.load(tmp_path / 'work' / 'epoch_1.pth')['state_dict']
    assert saved['weight'].isfinite().all()
