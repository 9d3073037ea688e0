import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from mmcls_repmlp.export.export_model import silence_exporters
from mmcls_repmlp.export.quantize_onnx import (check_cannot_saturate,
                                               load_exact, quantize_onnx)
from repmlp_lite.errors import JobFailedError
from repmlp_lite.exported.load_exported import load_exported

pytestmark = pytest.mark.filterwarnings('ignore')


@pytest.fixture(scope='module')
def int8(exported, tmp_path_factory):
    """An int8 file made of the float one."""
    path = tmp_path_factory.mktemp('int8') / 'm.onnx'
    with silence_exporters():
        quantize_onnx(exported.folder / 'm.onnx', path, [exported.images])
    return path


def error_of(actual, expected):
    return np.abs(actual - expected).max() / np.abs(expected).max()


def test_weights_are_int8_that_no_processor_can_saturate(int8):
    # Pairs of unsigned by signed products are added in 16 bits.
    weights = [
        numpy_helper.to_array(tensor)
        for tensor in onnx.load(int8).graph.initializer if len(tensor.dims) > 1
    ]
    assert len(weights) == 2 and {w.dtype for w in weights} == {np.dtype('i1')}
    for matrix in weights:
        assert 0 < 2 * 255 * np.abs(matrix.astype(int)).max() <= 2**15 - 1


def test_results_stay_near(exported, int8):
    exact = load_exact(int8)(exported.images)
    assert 0 < error_of(exact, exported.expected) < 0.05
    # Optimised it gives the exact integers here too: round-off at the edge of
    # a step is all that may differ.
    assert error_of(load_exported(int8)(exported.images), exact) < 0.02


@pytest.mark.parametrize('largest', [64, -65])
def test_weights_of_eight_bits_are_refused(tmp_path, largest):
    weights = np.array([[1, largest], [0, 3]], np.int8)
    graph = helper.make_graph([], 'g', [], [], [
        numpy_helper.from_array(weights, 'w'),
        numpy_helper.from_array(np.array([-128], np.int8), 'zero point')
    ])
    path = tmp_path / 'q.onnx'
    path.write_bytes(helper.make_model(graph).SerializeToString())
    if largest == 64:
        check_cannot_saturate(path)
        return
    message = f"'w' go up to {abs(largest)}, but processors without VNNI"
    with pytest.raises(JobFailedError, match=message):
        check_cannot_saturate(path)
