"""RepMLP for mmclassification: importing this registers the models."""
from .compat import (check_versions, hush_mmengine, mend_inferencer,
                     without_import_noise)
from .version import __version__

check_versions()
with without_import_noise():
    # These register their parts.
    from . import datasets, engine, evaluation, recipe  # noqa: F401
    from .checkpoints import allow_mmengine_checkpoints, make_loading_safe
    from .deploy import fuse_for_inference, reparameterize
    from .model_index import register_models
    from .models import (RepMLP, RepMLPBlock, RepMLPCifarNet, RepMLPNet,
                         RepMLPResNet)

allow_mmengine_checkpoints()
make_loading_safe()
hush_mmengine()
mend_inferencer()
register_models()

__all__ = [
    'RepMLP', 'RepMLPBlock', 'RepMLPCifarNet', 'RepMLPNet', 'RepMLPResNet',
    '__version__', 'fuse_for_inference', 'reparameterize'
]
