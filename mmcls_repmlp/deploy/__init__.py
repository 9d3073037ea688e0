"""Model in, model out: merge, verify, count."""
from .complexity import Complexity, complexity
from .reparameterize import largest_difference, reparameterize

__all__ = [
    'Complexity', 'complexity', 'largest_difference', 'reparameterize'
]
