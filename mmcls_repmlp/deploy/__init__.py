"""Model in, model out: merge, verify, count, time."""
from .complexity import Complexity, complexity
from .latency import alternating_latency, speedup
from .reparameterize import largest_difference, reparameterize

__all__ = [
    'Complexity', 'alternating_latency', 'complexity', 'largest_difference',
    'reparameterize', 'speedup'
]
