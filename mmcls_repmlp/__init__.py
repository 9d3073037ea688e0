"""RepMLP for mmcls and mmpretrain: importing this registers the models."""
from .host import silence_import_warnings
from .version import __version__

with silence_import_warnings():
    from mmcls_repmlp import recipe  # noqa: F401, it registers its parts

    from .checkpoints import allow_mmengine_checkpoints
    from .checkpoints.host_loaders import make_loading_safe
    from .host.keywords import add_keyword_hints
    from .host.model_index import register_models
    from .models import (RepMLP, RepMLPBlock, RepMLPCifarNet, RepMLPNet,
                         RepMLPResNet, ResMLP)
    from .reparam import fuse_for_inference, inject_locality, reparameterize
    from .zoo import create_model, list_models, save_model

allow_mmengine_checkpoints()
make_loading_safe()
register_models()
add_keyword_hints(RepMLP, RepMLPBlock)

__all__ = [
    'RepMLP', 'RepMLPBlock', 'RepMLPCifarNet', 'RepMLPNet', 'RepMLPResNet',
    'ResMLP', '__version__', 'create_model', 'fuse_for_inference',
    'inject_locality', 'list_models', 'reparameterize', 'save_model'
]
