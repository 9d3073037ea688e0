"""Operations on whole models: merge, fuse, verify, count, time."""
from .complexity import Complexity, complexity
from .fuse import fuse_for_inference
from .inject_locality import inject_locality
from .input_shape import input_shape
from .latency import alternating_latency, speedup
from .locality_hook import (InjectLocality, drop_injection, has_branches,
                            inject_by_config, is_injected)
from .reparameterize import largest_difference, reparameterize

__all__ = [
    'Complexity', 'InjectLocality', 'alternating_latency', 'complexity',
    'drop_injection', 'fuse_for_inference', 'has_branches', 'inject_by_config',
    'inject_locality', 'input_shape', 'is_injected', 'largest_difference',
    'reparameterize', 'speedup'
]
