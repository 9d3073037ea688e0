"""Metrics that mmcls does not have, registered there."""
from .verification import (PairVerification, Roc, Verification, sample_pairs,
                           verify)

__all__ = ['PairVerification', 'Roc', 'Verification', 'sample_pairs', 'verify']
