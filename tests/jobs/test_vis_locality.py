import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from mmcls_repmlp.jobs import vis_locality as module_under_test
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.model import build_model
from mmcls_repmlp.jobs.vis_locality import vis_locality
from mmcls_repmlp.reparam.locality import Locality, locality
from repmlp_lite.errors import UserError
from tests.helpers import CONFIGS, assert_same, load_model


def found(position=(0, 1), size=(3, 4), fill=1.):
    before = torch.full(size, fill, dtype=torch.double)
    after = before.clone()
    after[position] = 100
    return Locality(position, 2, 3, before, after)


@pytest.fixture
def draw(project, tmp_path, monkeypatch, figures):
    """Run the job on weights that are given; give the axes of their maps."""

    def run(*each):
        given = iter(each)
        monkeypatch.setattr(module_under_test, 'locality',
                            lambda *_: next(given))
        vis_locality(
            project.config,
            project.trained,
            tmp_path / 'a.png',
            over_training=[project.trained] * (len(each) - 1))
        return [axes for axes in figures[-1].axes if axes.images]

    return run


def shown(axes):
    return np.asarray(axes.images[0].get_array())


@pytest.mark.parametrize(('block', 'stage', 'index'),
                         [('1.1', 1, 1),
                          ('backbone.stages.1.0.repmlp_block', 1, 0)])
def test_the_numbers_are_those_of_the_block(project, tmp_path, capsys, block,
                                            stage, index):
    out = tmp_path / 'a.png'
    first, drawn = vis_locality(
        project.config,
        project.trained,
        out,
        block=block,
        position=(1, 3),
        shareset=1,
        over_training=[project.work_dir / 'epoch_1.pth'])
    assert not first.before.equal(drawn.before)
    model = load_model(project.config, project.trained)
    module = model.backbone.stages[stage][index].repmlp_block
    expected = locality(module, (1, 3), 1)
    assert_same([drawn.before, drawn.after], [expected.before, expected.after],
                0)
    lines = capsys.readouterr().out.splitlines()
    assert [line[:8] for line in lines[:2]] == ['epoch 1:', 'epoch 2:']
    assert lines[2] == f'drawn to {out}'
    with Image.open(out) as picture:
        assert picture.format == 'PNG'


@pytest.mark.parametrize('count', [1, 3])
def test_maps_are_drawn_as_they_are_on_one_scale(draw, capsys, count):
    each = [found(fill=10.**-i) for i in range(count)]
    panels = draw(*each)
    # 6 of 12 weights, and then (5 + 100**2) of (11 + 100**2).
    assert (': 50% of the sum of squared weights lies within 3x3 before '
            'merging, 100% after\n') in capsys.readouterr().out
    (low, high), = {axes.images[0].get_clim() for axes in panels}
    assert high == 2
    maps = [weights for e in each for weights in (e.before, e.after)]
    assert len(panels) == len(maps)
    for axes, weights in zip(panels, maps):
        np.testing.assert_allclose(
            shown(axes),
            weights.log10().clamp_min(low).numpy())
        # The frame: rows 0 to 1, columns 0 to 2, cut at the upper edge.
        frame, = axes.patches
        assert frame.get_bbox().bounds == (-0.5, -0.5, 3, 2)
        mark, = axes.lines
        assert mark.get_xydata().tolist() == [[1, 0]]


def test_the_scale_leaves_out_the_smallest_few_and_zeros(draw):
    each = found(size=(10, 10))
    for weights in (each.before, each.after):
        weights.copy_(torch.logspace(-9, 0, 100).view(10, 10))
    each.before[0, 0] = 0
    axes = draw(each)[0]
    lowest, _ = axes.images[0].get_clim()
    darker = (each.before.log10() < lowest).double().mean()
    assert 0 < darker <= 0.06
    assert np.isfinite(shown(axes)).all() and shown(axes)[0, 0] == lowest


@pytest.mark.parametrize(('arguments', 'message'), [
    (dict(out='a.jpg'), r'end it in \.png'),
    (dict(out='old.png'), 'force=True'),
    (dict(block='4.1'), "no block '4.1': choose from 0.0, 1.0, 1.1, 2.0"),
    (dict(position=(8, 0)), 'no position 8 0: choose from 0 0 to 7 7'),
    (dict(over_training=['merged.pth']), 'deploy form.*cannot be told apart')
])
def test_wrong_arguments(project, old, arguments, message):
    shutil.copy(project.merged, '.')
    job = dict(config=project.config, checkpoint=project.trained, out='a.png')
    with pytest.raises(UserError, match=message):
        vis_locality(**job | arguments)


def test_models_without_blocks(tmp_path):
    config = CONFIGS / 'repmlp-cifar_1xb128_cifar10.py'
    weights = build_model(read_config(config)).state_dict()
    torch.save(weights, tmp_path / 'a.pth')
    with pytest.raises(UserError, match='has no RepMLP block and no'):
        vis_locality(config, tmp_path / 'a.pth', tmp_path / 'a.png')
