import pytest
import torch
from torch import nn

from mmcls_repmlp.export.export_wrapper import ExportWrapper
from tests.helpers import assert_same


class Mean(nn.Module):

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x.mean((2, 3)) * self.weight


@pytest.mark.parametrize('reverse', [False, True])
def test_normalises_raw_images_as_the_data_preprocessor_does(reverse):
    mean, std = [1., 2., 3.], [4., 5., 6.]
    images = torch.randint(256, (2, 3, 4, 5), dtype=torch.uint8)
    means = images.double().mean((2, 3))
    expected = (means - torch.tensor(mean)) / torch.tensor(std)
    wrapper = ExportWrapper(Mean(), mean, std, reverse_channels=reverse)
    given = images.flip(1) if reverse else images
    assert_same(wrapper(given).double(), expected, 1e-6)


def test_computes_in_the_models_dtype_and_gives_float32():
    wrapper = ExportWrapper(Mean()).to_precision(torch.bfloat16)
    images = torch.rand(2, 3, 4, 5)
    assert wrapper.model.weight.dtype is wrapper.dtype is torch.bfloat16
    assert wrapper(images).dtype is torch.float32
    assert_same(wrapper(images), images.bfloat16().mean((2, 3)).float(), 1e-2)
