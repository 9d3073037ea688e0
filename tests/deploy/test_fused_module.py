import pytest
import torch
from torch import nn

from mmcls_repmlp.deploy.fused_module import FusedModule


class Doubled(FusedModule):

    def __init__(self, like):
        super().__init__()
        self.inner = nn.Linear(2, 2)
        self._finish(like)


def test_is_for_inference_only():
    module = Doubled(torch.ones(1, dtype=torch.float64))
    assert not any(part.training for part in module.modules())
    assert {(p.dtype, p.requires_grad)
            for p in module.parameters()} == {(torch.float64, False)}
    assert module.eval() is module
    with pytest.raises(RuntimeError, match='for inference only'):
        module.train()
