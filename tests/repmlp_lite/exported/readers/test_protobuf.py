import onnx
import pytest
from onnx import TensorProto, helper

from repmlp_lite.exported.readers.protobuf import references


def external(location):
    tensor = TensorProto(data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key='location', value=location)
    return tensor


def constant(location):
    return helper.make_node('Constant', [], ['c'], value=external(location))


def graph(*nodes, **tensors):
    return helper.make_graph(nodes, 'g', [], [], **tensors)


def facts(data):
    return [(kind, bytes(value).decode()) for kind, value in references(data)]


def test_references_are_found_wherever_they_can_stand():
    branch = graph(constant('branch'))
    node = helper.make_node(
        'If', ['x'], ['y'], 'n', '', 'odd', then_branch=branch)
    sparse = onnx.SparseTensorProto(
        values=external('values'), indices=external('indices'))
    function = helper.make_function('f', 'f', [], ['c'],
                                    [constant('function')], [])
    model = helper.make_model(
        graph(
            node,
            initializer=[external('initializer')],
            sparse_initializer=[sparse]),
        functions=[function])
    model.training_info.add().initialization.CopyFrom(
        graph(initializer=[external('training')]))
    assert sorted(facts(model.SerializeToString())) == [
        ('domain', 'odd'), *(('location', name)
                             for name in ('branch', 'function', 'indices',
                                          'initializer', 'training', 'values'))
    ]


def test_both_of_two_graphs_are_visited():
    # A parser merges them.
    one, other = (
        helper.make_model(
            graph(initializer=[external(name)])).SerializeToString()
        for name in 'ab')
    assert facts(one + other) == [('location', 'a'), ('location', 'b')]


@pytest.mark.parametrize(
    'data', [b'\x3a\x05ab', b'\x3f', b'\xff' * 12, b'\x08', b'\x09abc'])
def test_other_content_is_refused(data):
    with pytest.raises(ValueError, match='not protobuf'):
        [*references(data)]
