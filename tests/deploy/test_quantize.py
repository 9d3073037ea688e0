import numpy as np
import onnx
import pytest
import torch
from torch import nn

from mmcls_repmlp.deploy.artefact import load_artefact
from mmcls_repmlp.deploy.export import export_model, quietly
from mmcls_repmlp.deploy.quantize import quantize_onnx
from mmcls_repmlp.deploy.served import Served


@pytest.mark.filterwarnings('ignore')
def test_weights_become_int8_and_results_stay_near(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(),
                          nn.Linear(8 * 36, 5)).eval()
    source, target = tmp_path / 'f.onnx', tmp_path / 'q.onnx'
    export_model(Served(model), source, (3, 8, 8))
    batches = [np.random.default_rng(i).normal(size=(4, 3, 8, 8)).astype(
        np.float32) for i in range(3)]
    with quietly():
        quantize_onnx(source, target, batches)
    kinds = {tensor.data_type for tensor in onnx.load(target).graph.initializer
             if len(tensor.dims) > 1}
    assert kinds == {onnx.TensorProto.INT8}
    exact, small = (load_artefact(path)(batches[0])
                    for path in (source, target))
    error = np.abs(exact - small).max() / np.abs(exact).max()
    assert 0 < error < 0.05
