import numpy as np
import pytest
import torch
from PIL import Image

from mmcls_repmlp.apis import vis_locality as module_under_test
from mmcls_repmlp.apis._shared.config import read_config
from mmcls_repmlp.apis._shared.model import build_model, load_model
from mmcls_repmlp.apis.vis_locality import vis_locality
from mmcls_repmlp.deploy.locality import Locality, locality
from mmcls_repmlp.errors import UserError
from tests.helpers import ROOT, assert_same


def found(position=(0, 1), size=(3, 4), fill=1.):
    before = torch.full(size, fill, dtype=torch.double)
    after = before.clone()
    after[position] = 100
    return Locality(position, 2, 3, before, after)


@pytest.fixture
def draw(project, tmp_path, monkeypatch, figures):
    """Run the job on weights that are given."""

    def run(*each):
        given, lines = iter(each), []
        monkeypatch.setattr(module_under_test, 'locality',
                            lambda *_: next(given))
        vis_locality(
            project.config,
            project.trained,
            tmp_path / 'a.png',
            over_training=[project.trained] * (len(each) - 1),
            report=lines.append)
        return lines, figures[-1]

    return run


@pytest.mark.parametrize(('block', 'stage', 'index'),
                         [(None, 0, 0), ('1.1', 1, 1),
                          ('backbone.stages.1.0.repmlp_block', 1, 0)])
def test_the_numbers_are_those_of_the_block(project, tmp_path, block, stage,
                                            index):
    lines = []
    drawn, = vis_locality(
        project.config,
        project.trained,
        tmp_path / 'a.png',
        block, (1, 3),
        1,
        report=lines.append)
    model = load_model(project.config, project.trained)
    expected = locality(model.backbone.stages[stage][index].repmlp_block,
                        (1, 3), 1)
    assert_same(drawn.before, expected.before, 0)
    assert_same(drawn.after, expected.after, 0)
    assert lines[0].startswith('epoch 2: ') and 'a.png' in lines[1]
    with Image.open(tmp_path / 'a.png') as picture:
        assert picture.format == 'PNG' and picture.width > picture.height


def test_the_share_within_the_window_is_reported(draw):
    # 6 of 12 weights, and then (5 + 100**2) of (11 + 100**2).
    lines, _ = draw(found())
    assert lines[0].endswith(
        ': 50% of the sum of squared weights lies within 3x3 before merging, '
        '100% after')


def test_several_checkpoints_in_columns(project, tmp_path):
    lines = []
    drawn = vis_locality(
        project.config,
        project.trained,
        tmp_path / 'a.png',
        over_training=[project.work_dir / 'epoch_1.pth'],
        report=lines.append)
    assert [line[:8] for line in lines[:2]] == ['epoch 1:', 'epoch 2:']
    assert not drawn[0].before.equal(drawn[1].before)


@pytest.mark.parametrize('count', [1, 3])
def test_maps_are_drawn_as_they_are_on_one_scale(draw, count):
    each = [found(fill=10.**-i) for i in range(count)]
    _, figure = draw(*each)
    panels = [axes for axes in figure.axes if axes.images]
    assert len(panels) == 2 * count
    scales = [axes.images[0].get_clim() for axes in panels]
    assert len(set(scales)) == 1 and scales[0][1] == 2
    maps = [*(e.before for e in each), *(e.after for e in each)]
    for axes, weights in zip(panels, maps):
        shown = np.asarray(axes.images[0].get_array())
        np.testing.assert_allclose(
            shown,
            weights.log10().clamp_min(scales[0][0]).numpy())
        # The frame: rows 0 to 1, columns 0 to 2, cut at the upper edge.
        frame, = axes.patches
        assert (*frame.get_xy(), frame.get_width(),
                frame.get_height()) == (-0.5, -0.5, 3, 2)
        assert [line.get_xydata().tolist() for line in axes.lines] == [[[1,
                                                                         0]]]


def test_the_scale_leaves_out_the_smallest_few(draw):
    each = found(size=(10, 10))
    for weights in (each.before, each.after):
        weights.copy_(torch.logspace(-9, 0, 100).view(10, 10))
    _, figure = draw(each)
    lowest, _ = figure.axes[0].images[0].get_clim()
    darker = (each.before.log10() < lowest).double().mean()
    assert 0 < darker <= 0.05


def test_weights_of_zero_are_dark(draw):
    each = found()
    each.before[2] = 0
    _, figure = draw(each)
    shown = np.asarray(figure.axes[0].images[0].get_array())
    assert np.isfinite(shown).all() and (shown[2] == shown.min()).all()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [(dict(out='a.jpg'), r'end it in \.png'),
     (dict(config='no.py'), 'does not exist'),
     (dict(checkpoint='no.pth'), "'no.pth' does not exist"),
     (dict(block='4.1'), "no block '4.1': choose from 0.0, 1.0, 1.1, 2.0"),
     (dict(position=(8, 0)), 'no position 8 0: choose from 0 0 to 7 7'),
     (dict(shareset=2), 'no shareset 2'),
     (dict(checkpoint='MERGED'), 'deploy form.*cannot be told apart'),
     (dict(config='DEPLOY', checkpoint='MERGED'), 'cannot be told apart'),
     (dict(over_training=['MERGED']), 'cannot be told apart')])
def test_wrong_arguments(project, tmp_path, arguments, message):
    paths = dict(MERGED=project.merged, DEPLOY=project.deploy_config)
    arguments = {
        key: [paths[item]
              for item in value] if isinstance(value, list) else paths.get(
                  value, value)
        for key, value in arguments.items()
    }
    with pytest.raises(UserError, match=message):
        vis_locality(
            **{
                'config': project.config,
                'out': tmp_path / 'a.png',
                'checkpoint': project.trained,
                **arguments
            },
            report=lambda line: None)
    assert not list(tmp_path.iterdir())


def test_models_without_blocks(tmp_path):
    config = ROOT / 'configs' / 'repmlp' / 'repmlp-cifar_1xb128_cifar10.py'
    weights = build_model(read_config(config)).state_dict()
    torch.save(weights, tmp_path / 'a.pth')
    with pytest.raises(UserError, match='has no RepMLP block'):
        vis_locality(config, tmp_path / 'a.pth', tmp_path / 'a.png')


def test_pictures_are_replaced_only_by_force(project, tmp_path):
    (tmp_path / 'a.png').write_text('precious')
    with pytest.raises(UserError, match='force=True'):
        vis_locality(project.config, project.trained, tmp_path / 'a.png')
    assert (tmp_path / 'a.png').read_text() == 'precious'
