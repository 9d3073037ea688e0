"""Shared by all tests."""
from __future__ import annotations

import torch

import mmcls_repmlp  # noqa: F401  (registers the models)

torch.set_num_threads(1)
