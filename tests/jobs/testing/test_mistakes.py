from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from mmcls_repmlp.host import DataSample
from mmcls_repmlp.jobs.testing.mistakes import (Mistakes, add_mistakes,
                                                write_mistakes)

RED, BLUE = (0, 0, 255), (255, 0, 0)  # as files are read


def sample(truth, scores):
    made = DataSample().set_gt_label(truth)
    return made.set_pred_score(torch.tensor(scores)).to_dict()


def image(color=RED, side=24):
    return torch.tensor(
        color, dtype=torch.uint8).view(3, 1, 1).expand(3, side, side)


@pytest.fixture
def metric():
    return Mistakes()


def test_the_surest_mistakes_are_kept(metric):
    for score in torch.rand(30, generator=torch.manual_seed(0)).tolist():
        scores = [0.5 + score / 2, 0.5 - score / 2]
        metric.process(
            dict(inputs=torch.stack([image(), image(BLUE)])),
            [sample(0, scores), sample(1, scores)])
    assert metric.evaluate(60) == {}
    kept = [mistake.score for mistake in metric.kept]
    assert len(kept) == 16 and kept == sorted(kept, reverse=True)
    assert {(mistake.truth, mistake.predicted, *mistake.pixels[0, 0])
            for mistake in metric.kept} == {(1, 0, *BLUE)}


@pytest.mark.parametrize('inputs', [
    [image(BLUE)], torch.stack([image(BLUE)]), [torch.stack([image(BLUE)])] * 2
], ids=['list', 'batch', 'views'])  # yapf: disable
def test_every_form_of_a_batch(metric, inputs):
    metric.process(dict(inputs=inputs), [sample(0, [0.1, 0.9])])
    assert metric.kept[0].pixels[0, 0].tolist() == [*BLUE]


def test_every_process_has_its_own(metric, monkeypatch):
    metric.process(dict(inputs=[image()]), [sample(0, [0.1, 0.9])])
    gather = 'mmcls_repmlp.jobs.testing.mistakes.all_gather_object'
    monkeypatch.setattr(gather, lambda kept: [kept, [], kept])
    metric.evaluate(3)
    assert len(metric.kept) == 2


@pytest.mark.parametrize(('bgr', 'color'), [(True, 0), (False, 2)])
def test_a_red_image_is_drawn_red(metric, tmp_path, bgr, color):
    metric.process(dict(inputs=[image()] * 5), [sample(0, [0.1, 0.9])] * 5)
    metric.evaluate(5)
    write_mistakes(metric.kept, ('猫$^', 'a' * 99), bgr, tmp_path)
    picture = np.asarray(Image.open(tmp_path / 'mistakes.png').convert('RGB'))
    others = np.delete(picture, color, 2).max(2)
    pure = (picture[..., color] == 255) & (others == 0)
    # Five panels of two rows of four.
    assert 0.2 < pure.mean() < 0.6
    assert pure[:, :pure.shape[1] // 4].mean() > pure[:, -200:].mean() > 0


def test_a_normalisation_in_the_pipeline_is_undone(metric, tmp_path):
    norm = dict(
        mean=np.array([100., 110., 120.]),
        std=np.array([50., 60., 70.]),
        to_rgb=True)
    values = [
        (values - mean) / std
        for values, mean, std in zip(RED[::-1], norm['mean'], norm['std'])
    ]  # RGB
    pixels = torch.tensor(values).float().view(3, 1, 1).expand(3, 24, 24)
    metric.process(dict(inputs=[pixels]), [sample(0, [0.1, 0.9])])
    write_mistakes(metric.kept, (), True, tmp_path, norm)
    picture = np.asarray(Image.open(tmp_path / 'mistakes.png').convert('RGB'))
    assert (picture == (255, 0, 0)).all(2).mean() > 0.1


def test_nothing_of_it_is_a_score():
    evaluator = SimpleNamespace(metrics=[])
    metric = add_mistakes(evaluator)
    assert evaluator.metrics == [metric]
    metric.process(dict(inputs=[image()]), [sample(0, [0.9, 0.1])])
    assert metric.evaluate(1) == metric.compute_metrics([]) == {}
    assert metric.kept == []


def test_a_test_leaves_them(project, tmp_path):
    from mmcls_repmlp.jobs.testing.test import test
    for pictures in (True, False):
        work = tmp_path / str(pictures)
        test(
            project.config,
            project.trained,
            work_dir=str(work),
            pictures=pictures)
        found = {path.name for path in Path(work).glob('*/*.*')}
        assert {'results.json', 'confusion_matrix.csv'} < found
        assert ({'mistakes.png', 'confusion_matrix.png'} < found) is pictures
