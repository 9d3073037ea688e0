"""Operations on whole models: merge, fuse, verify, count, time."""
from .complexity import Complexity, complexity
from .fuse import fuse_for_inference
from .inject_locality import inject_locality
from .input_shape import input_shape
from .latency import alternating_latency, speedup
from .reparameterize import largest_difference, reparameterize

__all__ = [
    'Complexity', 'alternating_latency', 'complexity', 'fuse_for_inference',
    'inject_locality', 'input_shape', 'largest_difference', 'reparameterize',
    'speedup'
]
