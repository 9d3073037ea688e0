import onnx
import pytest
from onnx import TensorProto, helper

from mmcls_repmlp.deploy.exported.readers.protobuf import walk


def external(location):
    tensor = TensorProto(data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key='location', value=location)
    return tensor


def facts(model):
    return sorted((kind, bytes(value).decode())
                  for kind, value in walk(model.SerializeToString()))


def test_references_are_found_wherever_they_can_stand():

    def constant(name):
        return helper.make_node('Constant', [], ['c'], value=external(name))

    inner = helper.make_graph([constant('branch')], 'g', [], [])
    sparse = onnx.SparseTensorProto(
        values=external('values'), indices=external('indices'))
    graph = helper.make_graph([
        helper.make_node('If', ['x'], ['y'], then_branch=inner, domain='odd')
    ],
                              'g', [], [],
                              initializer=[external('initializer')],
                              sparse_initializer=[sparse])
    model = helper.make_model(
        graph,
        functions=[
            helper.make_function('f', 'f', [], ['c'], [constant('function')],
                                 [])
        ])
    model.training_info.add().initialization.CopyFrom(
        helper.make_graph([], 'g', [], [], [external('training')]))
    assert facts(model) == [(
        'domain', 'odd'
    ), *(('location', name) for name in sorted(
        ['branch', 'values', 'indices', 'initializer', 'function', 'training'])
         )]


def test_both_of_two_graphs_are_visited():
    # A parser merges them.
    models = [
        helper.make_model(
            helper.make_graph([], 'g', [], [], [external(name)]))
        for name in 'ab'
    ]
    data = b''.join(m.SerializeToString() for m in models)
    assert [bytes(value) for _, value in walk(data)] == [b'a', b'b']


@pytest.mark.parametrize(
    'data', [b'\x3a\x05ab', b'\x3f', b'\xff' * 12, b'\x08', b'\x09abc'])
def test_what_is_no_protobuf_is_refused(data):
    with pytest.raises(ValueError, match='no protobuf'):
        [*walk(data)]
