"""What a user sees of the package: names, registration, examples."""
import re

import torch

import mmcls_repmlp
from mmcls_repmlp.host import MODELS, build_backbone, build_classifier
from tests.helpers import classifier_cfg
from tests.host_parts import HostRepMLPNet


def test_public_names():
    assert {*mmcls_repmlp.__all__} == {
        'RepMLPNet', 'RepMLPBlock', 'fuse_for_inference', 'reparameterize',
        'RepMLP', 'RepMLPResNet', 'RepMLPCifarNet', 'ResMLP', '__version__',
        'create_model', 'inject_locality', 'list_models', 'save_model'
    }
    assert all(hasattr(mmcls_repmlp, name) for name in mmcls_repmlp.__all__)
    assert re.fullmatch(r'\d+\.\d+\.\d+', mmcls_repmlp.__version__)


def test_our_backbone_takes_the_place_of_the_hosts():
    assert MODELS.get('RepMLPNet') is mmcls_repmlp.RepMLPNet
    assert mmcls_repmlp.RepMLPNet is not HostRepMLPNet


def test_the_examples_we_were_handed_run_as_written():
    # The page's two examples, after importing the plugin. Under mmcls these
    # functions are those of mmcls.models.
    backbone_cfg = dict(
        type='RepMLPNet',
        arch='B',
        img_size=224,
        reparam_conv_kernels=(1, 3),
        deploy=False)
    with torch.device('meta'):
        backbone = build_backbone(backbone_cfg)
        classifier = build_classifier(classifier_cfg(backbone_cfg, 1000, 768))
        for model in (backbone, classifier.backbone):
            model.switch_to_deploy()
            assert model.deploy
