"""Of several sets of weights in a file none is chosen silently, anywhere."""
from functools import partial

import pytest
import torch

from mmcls_repmlp.jobs.export.export import export_checkpoint
from mmcls_repmlp.jobs.image_demo import classify_images
from mmcls_repmlp.jobs.publish_model import publish_model
from mmcls_repmlp.jobs.reparameterize_model import reparameterize_checkpoint
from mmcls_repmlp.jobs.resize_partitions import resize_checkpoint
from mmcls_repmlp.jobs.testing.test import test as run_test
from mmcls_repmlp.jobs.train.train import train
from mmcls_repmlp.jobs.vis_locality import vis_locality
from repmlp_lite.errors import CheckpointError

WEIGHTS = dict(a=torch.ones(1))


@pytest.fixture
def both(tmp_path):
    """A file with averaged weights beside others, as timm saves."""
    content = dict(state_dict=WEIGHTS, state_dict_ema=WEIGHTS)
    torch.save(content, tmp_path / 'both.pth')
    return tmp_path / 'both.pth'


def test_every_job_hands_the_key_on(project, both, tmp_path, image):
    source, out = (project.config, both), tmp_path / 'out.pth'
    resize = partial(resize_checkpoint, to=(48, ))
    # What it names is chosen where the weights are taken out of the file.
    for job, *arguments in ((partial(run_test, work_dir=str(tmp_path)),
                             *source), (classify_images, [image], *source),
                            (publish_model, both, out), (vis_locality, *source,
                                                         tmp_path / 'out.png'),
                            (export_checkpoint, *source, tmp_path / 'out.pt2'),
                            (reparameterize_checkpoint, *source,
                             out), (resize, *source, out)):
        with pytest.raises(CheckpointError, match='several sets of weights'):
            job(*arguments)
        with pytest.raises(CheckpointError, match="state dict under 'x'"):
            job(*arguments, key='x')


def test_training_does_not_start_from_one_of_them(project, both, tmp_path):
    options = dict(load_from=str(both))
    with pytest.raises(CheckpointError, match='publish_model.py --key'):
        train(project.config, str(tmp_path), cfg_options=options)
