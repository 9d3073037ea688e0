import mmcv
import numpy as np
import pytest
import torch
from matplotlib import image as images

from mmcls_repmlp.apis._shared.model import load_model
from mmcls_repmlp.apis.verify_pairs import verify_pairs
from mmcls_repmlp.errors import UserError
from mmcls_repmlp.training import verify


def test_a_folder_of_identities(project, tmp_path, capsys):
    out = tmp_path / 'roc.png'
    found = verify_pairs(project.config, project.trained,
                         project.data / 'train', out)
    # 40 images of ten identities: 60 pairs of one, as many of two.
    assert found.pairs == 120
    assert 0 < found.roc.area <= 1
    said = capsys.readouterr().out
    assert '120 pairs' in said and f'{found.roc.area:.4f}' in said
    height, width, _ = images.imread(out).shape
    assert (height, width) == (480, 720)


def test_features_are_those_before_the_head(project):
    model = load_model(project.config, project.trained)
    pixels, labels = [], []
    for path in sorted((project.data / 'train').glob('*/*.png')):
        pixels.append(
            mmcv.imresize(
                mmcv.imread(str(path)), (32, 32), interpolation='bicubic'))
        labels.append(int(path.parent.name))
    batch = torch.as_tensor(np.stack(pixels)).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        map_, = model.backbone((batch - 78) / 96)  # as the config says
    expected = verify(map_.mean((2, 3)), torch.tensor(labels))
    found = verify_pairs(project.config, project.trained,
                         project.data / 'train')
    assert found.roc.area == pytest.approx(expected.roc.area, abs=1e-3)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [(dict(folder='/nowhere'), "test data set in '/nowhere' cannot be read"),
     (dict(out='a.jpg'), 'end it in .png'),
     (dict(max_pairs=10), '5 pairs of either kind, 10 are needed')])
def test_what_cannot_be_used(project, kwargs, message):
    with pytest.raises(UserError, match=message):
        verify_pairs(project.config, project.trained, **kwargs)


def test_nothing_is_overwritten(project, tmp_path):
    (tmp_path / 'a.png').write_text('mine')
    with pytest.raises(UserError, match='exists'):
        verify_pairs(project.config, project.trained, out=tmp_path / 'a.png')
