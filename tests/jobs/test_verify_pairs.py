import mmcv
import numpy as np
import pytest
import torch
from matplotlib import image as images

from mmcls_repmlp.jobs.verify_pairs import verify_pairs
from mmcls_repmlp.recipe import verify
from repmlp_lite.errors import UserError
from tests.helpers import load_model


def test_pairs_are_told_apart_by_the_features_before_the_head(
        project, tmp_path, capsys):
    out = tmp_path / 'roc.png'
    found = verify_pairs(
        project.config, project.trained, project.data / 'train', out=out)
    model = load_model(project.config, project.trained)
    paths = sorted((project.data / 'train').glob('*/*.png'))
    pixels = np.stack([
        mmcv.imresize(
            mmcv.imread(str(path)), (32, 32), interpolation='bicubic')
        for path in paths
    ])
    batch = torch.as_tensor(pixels).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        map_, = model.backbone((batch - 78) / 96)  # as the config says
    labels = torch.tensor([int(path.parent.name) for path in paths])
    expected = verify(map_.mean((2, 3)), labels)
    assert found.roc.area == pytest.approx(expected.roc.area, abs=1e-3)
    # 40 images of ten identities: 60 pairs of one, as many of two.
    assert found.pairs == 120
    said = capsys.readouterr().out
    assert '120 pairs' in said and f'{found.roc.area:.4f}' in said
    assert images.imread(out).shape[:2] == (480, 720)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [(dict(folder='/nowhere'), "test data set in '/nowhere' cannot be read"),
     (dict(out='a.jpg'), 'end it in .png'), (dict(out='old.png'), 'exists'),
     (dict(max_pairs=10), '5 pairs of either kind, 10 are needed')])
def test_what_cannot_be_used(project, old, kwargs, message):
    with pytest.raises(UserError, match=message):
        verify_pairs(project.config, project.trained, **kwargs)
