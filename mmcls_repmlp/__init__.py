"""RepMLP for mmcls and mmpretrain: importing this registers the models."""
from .host import hush_mmengine, without_import_noise
from .version import __version__

with without_import_noise():
    from . import training  # noqa: F401, it registers its parts
    from .checkpoints import allow_mmengine_checkpoints
    from .deploy import fuse_for_inference, reparameterize
    from .models import (RepMLP, RepMLPBlock, RepMLPCifarNet, RepMLPNet,
                         RepMLPResNet)
    from .plugin.host_loaders import make_loading_safe
    from .plugin.inferencer import mend_inferencer
    from .plugin.model_index import register_models

allow_mmengine_checkpoints()
make_loading_safe()
hush_mmengine()
mend_inferencer()
register_models()

__all__ = [
    'RepMLP', 'RepMLPBlock', 'RepMLPCifarNet', 'RepMLPNet', 'RepMLPResNet',
    '__version__', 'fuse_for_inference', 'reparameterize'
]
