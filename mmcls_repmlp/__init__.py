"""RepMLP for mmclassification: importing this registers the models."""
from .compat import check_versions, without_import_noise
from .version import __version__

check_versions()
with without_import_noise():
    from .checkpoints import allow_mmengine_checkpoints
    from .deploy import fuse_for_inference, reparameterize
    from .models import (
        RepMLP,
        RepMLPBlock,
        RepMLPCifarNet,
        RepMLPNet,
        RepMLPResNet,
    )
allow_mmengine_checkpoints()

__all__ = [
    'RepMLP', 'RepMLPBlock', 'RepMLPCifarNet', 'RepMLPNet', 'RepMLPResNet',
    '__version__', 'fuse_for_inference', 'reparameterize'
]
