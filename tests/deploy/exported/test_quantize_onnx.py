import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from mmcls_repmlp.deploy.exported.export_model import export_model, quietly
from mmcls_repmlp.deploy.exported.export_wrapper import ExportWrapper
from mmcls_repmlp.deploy.exported.load_exported import load_exported
from mmcls_repmlp.deploy.exported.quantize_onnx import (check_cannot_saturate,
                                                        load_exact,
                                                        quantize_onnx)
from mmcls_repmlp.errors import JobFailedError

pytestmark = pytest.mark.filterwarnings('ignore')


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A float file, the int8 one made of it, and batches of images."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36,
                                                               5)).eval()
    folder = tmp_path_factory.mktemp('int8')
    source, target = folder / 'f.onnx', folder / 'q.onnx'
    export_model(ExportWrapper(model), source, (3, 8, 8))
    batches = [
        np.random.default_rng(i).normal(size=(4, 3, 8, 8)).astype(np.float32)
        for i in range(3)
    ]
    with quietly():
        quantize_onnx(source, target, batches)
    return source, target, batches


def weights_of(path):
    return [
        numpy_helper.to_array(tensor)
        for tensor in onnx.load(path).graph.initializer if len(tensor.dims) > 1
    ]


def error_of(actual, expected):
    return np.abs(actual - expected).max() / np.abs(expected).max()


def test_weights_become_int8_and_results_stay_near(files):
    source, target, batches = files
    assert {w.dtype for w in weights_of(target)} == {np.dtype(np.int8)}
    error = error_of(
        load_exact(target)(batches[0]),
        load_exported(source)(batches[0]))
    assert 0 < error < 0.05


def test_no_processor_can_saturate(files):
    # Pairs of unsigned by signed products, added in 16 bits.
    _, target, _ = files
    for weights in weights_of(target):
        largest = np.abs(weights.astype(int)).max()
        assert 0 < 2 * 255 * largest <= 2**15 - 1


def test_optimised_it_gives_the_exact_integers_here_too(files):
    # Round-off at the edge of a step is all that may differ.
    _, target, batches = files
    assert error_of(
        load_exported(target)(batches[0]),
        load_exact(target)(batches[0])) < 0.02


@pytest.mark.parametrize(('largest', 'passes'), [(64, True), (65, False),
                                                 (-128, False)])
def test_weights_of_eight_bits_are_refused(tmp_path, largest, passes):
    weights = np.array([[1, largest], [0, 3]], np.int8)
    graph = helper.make_graph([], 'g', [], [], [
        numpy_helper.from_array(weights, 'w'),
        numpy_helper.from_array(np.array([-128], np.int8), 'zero point')
    ])
    path = tmp_path / 'q.onnx'
    path.write_bytes(helper.make_model(graph).SerializeToString())
    assert TensorProto.INT8 == graph.initializer[0].data_type
    if passes:
        check_cannot_saturate(path)
    else:
        with pytest.raises(
                JobFailedError,
                match=f"'w' go up to "
                f'{abs(largest)}, and processors without VNNI'):
            check_cannot_saturate(path)
