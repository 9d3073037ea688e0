"""Of several sets of weights in a file none is chosen silently, anywhere."""
import numpy as np
import pytest
import torch

from mmcls_repmlp.apis.confusion_matrix import confusion_matrix
from mmcls_repmlp.apis.export import export_checkpoint
from mmcls_repmlp.apis.image_demo import classify_image
from mmcls_repmlp.apis.publish_model import publish_model
from mmcls_repmlp.apis.reparameterize_model import reparameterize_checkpoint
from mmcls_repmlp.apis.resize_partitions import resize_checkpoint
from mmcls_repmlp.apis.test import test as run_test
from mmcls_repmlp.apis.train import train
from mmcls_repmlp.apis.vis_locality import vis_locality
from mmcls_repmlp.checkpoints import read_checkpoint, state_dict_of
from mmcls_repmlp.deploy.exported.load_exported import load_exported
from mmcls_repmlp.errors import CheckpointError

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


def evaluated(project, source, out, **key):
    return run_test(
        project.config, source, work_dir=str(out.parent / 'work'), **key)


def counted(project, source, out, **key):
    return confusion_matrix(
        project.config, source, report=lambda line: None, **key).tolist()


def classified(project, source, out, **key):
    image = sorted((project.data / 'val' / '7').iterdir())[0]
    return classify_image(
        image, project.config, source, report=lambda line: None, **key)


def exported(project, source, out, **key):
    path = out.with_suffix('.pt')
    export_checkpoint(
        project.config,
        source,
        path,
        force=True,
        report=lambda line: None,
        **key)
    return load_exported(path)(np.ones((1, 3, 32, 32), np.float32)).tolist()


def written(convert):

    def job(project, source, out, **key):
        path = out.with_suffix('.pth')
        convert(
            project.config,
            source,
            path,
            force=True,
            report=lambda line: None,
            **key)
        weights = state_dict_of(read_checkpoint(path), path)
        return {key: value.tolist() for key, value in weights.items()}

    return job


def published(project, source, out, **key):
    path = publish_model(
        source,
        out.with_suffix('.pth'),
        force=True,
        report=lambda line: None,
        **key)
    weights = state_dict_of(read_checkpoint(path), path)
    return {key: value.tolist() for key, value in weights.items()}


def drawn(project, source, out, **key):
    found = vis_locality(
        project.config,
        source,
        out.with_suffix('.png'),
        force=True,
        report=lambda line: None,
        **key)
    return found[0].after.tolist()


@pytest.mark.parametrize('job', [
    evaluated, counted, classified, published, drawn, exported,
    written(reparameterize_checkpoint),
    written(lambda config, src, dst, **rest: resize_checkpoint(
        config, src, dst, to=(48, ), **rest))
])
def test_the_key_chooses_and_nothing_else_does(project, both, tmp_path, job):
    with pytest.raises(CheckpointError, match='several sets of weights'):
        job(project, both, tmp_path / 'out')
    assert job(
        project, both, tmp_path / 'out',
        key=KEY) == job(project, project.trained, tmp_path / 'out')


def test_training_does_not_start_from_one_of_them(project, both, tmp_path):
    with pytest.raises(CheckpointError, match='publish_model.py --key'):
        train(
            project.config,
            str(tmp_path / 'work'),
            cfg_options=dict(load_from=str(both)))
