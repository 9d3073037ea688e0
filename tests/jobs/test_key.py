"""Of several sets of weights in a file none is chosen silently, anywhere."""
import numpy as np
import pytest
import torch

from mmcls_repmlp.checkpoints import read_checkpoint, state_dict_of
from mmcls_repmlp.jobs.export.export import export_checkpoint
from mmcls_repmlp.jobs.image_demo import classify_images
from mmcls_repmlp.jobs.publish_model import publish_model
from mmcls_repmlp.jobs.reparameterize_model import reparameterize_checkpoint
from mmcls_repmlp.jobs.resize_partitions import resize_checkpoint
from mmcls_repmlp.jobs.testing.test import test as run_test
from mmcls_repmlp.jobs.train.train import train
from mmcls_repmlp.jobs.vis_locality import vis_locality
from repmlp_lite.errors import CheckpointError
from repmlp_lite.exported.load_exported import load_exported

KEY = 'state_dict_ema'


@pytest.fixture
def both(project, tmp_path):
    """The trained weights as averaged ones, beside others, as timm saves."""
    content = read_checkpoint(project.trained)
    content[KEY] = content['state_dict']
    content['state_dict'] = {
        key: torch.zeros_like(value)
        for key, value in content[KEY].items()
    }
    torch.save(content, tmp_path / 'both.pth')
    return tmp_path / 'both.pth'


def weights_in(path):
    weights = state_dict_of(read_checkpoint(path), path)
    return {name: value.tolist() for name, value in weights.items()}


def evaluated(project, source, out, **key):
    return run_test(
        project.config, source, work_dir=str(out.parent / 'work'), **key)


def classified(project, source, out, **key):
    image = min(project.data.glob('val/7/*.png'))
    return classify_images([image], project.config, source, **key)


def exported(project, source, out, **key):
    path = out.with_suffix('.pt2')
    export_checkpoint(project.config, source, path, force=True, **key)
    model = load_exported(path, trust=True)
    return model(np.ones((1, 3, 32, 32), np.float32)).tolist()


def converted(project, source, out, **key):
    reparameterize_checkpoint(project.config, source, out, force=True, **key)
    return weights_in(out)


def resized(project, source, out, **key):
    resize_checkpoint(
        project.config, source, out, to=(48, ), force=True, **key)
    return weights_in(out)


def published(project, source, out, **key):
    return weights_in(publish_model(source, out, force=True, **key))


def drawn(project, source, out, **key):
    path = out.with_suffix('.png')
    found, = vis_locality(project.config, source, path, force=True, **key)
    return found.after.tolist()


@pytest.mark.parametrize(
    'job',
    [evaluated, classified, published, drawn, exported, converted, resized])
def test_the_key_chooses_and_nothing_else_does(project, both, tmp_path, job):
    out = tmp_path / 'out.pth'
    with pytest.raises(CheckpointError, match='several sets of weights'):
        job(project, both, out)
    assert job(
        project, both, out, key=KEY) == job(project, project.trained, out)


def test_training_does_not_start_from_one_of_them(project, both, tmp_path):
    options = dict(load_from=str(both))
    with pytest.raises(CheckpointError, match='publish_model.py --key'):
        train(project.config, str(tmp_path), cfg_options=options)
