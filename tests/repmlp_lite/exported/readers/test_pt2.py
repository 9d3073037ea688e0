import json
import pickle
import zipfile

import numpy as np
import pytest
import torch

from repmlp_lite.errors import JobFailedError, UserError
from repmlp_lite.exported.load_exported import load_exported
from tests.helpers import making

MODEL = 'models/model.json'
WEIGHTS = 'data/weights/model_weights_config.json'
CONSTANTS = 'data/constants/model_constants_config.json'


def edited(change):
    """A change of a JSON member, by a function that edits what it says."""

    def apply(data):
        content = json.loads(data)
        change(content)
        return json.dumps(content).encode()

    return apply


def test_computes_what_torch_computes(exported):
    path = exported.folder / 'm.pt2'
    module, images = torch.export.load(path).module(), exported.images
    expected = module(torch.from_numpy(images)).detach()
    assert np.array_equal(load_exported(path)(images), expected)


def test_a_pickle_that_nothing_needs_is_not_read(exported, rezip, marker):
    exported.check(
        rezip(
            'm.pt2', {
                'data/sample_inputs/model.pt': pickle.dumps(making(marker)),
                'data/aotinductor/model/model.so': b'never loaded'
            }))


def first(config):
    return next(iter(config['config'].values()))


PICKLED = edited(lambda config: first(config).update(use_pickle=True))
OPAQUE = edited(lambda config: config['config'].update(
    x=dict(path_name='x', use_pickle=False, tensor_meta=None)))


@pytest.mark.parametrize(('member', 'change', 'payload'),
                         [(WEIGHTS, PICKLED, 'weights/weight_0'),
                          (CONSTANTS, OPAQUE, 'constants/x')])
def test_pickles_that_are_needed_are_refused(rezip, marker, member, change,
                                             payload):
    hostile = {f'data/{payload}': pickle.dumps(making(marker))}
    with pytest.raises(UserError, match='to unpickle it would run code'):
        load_exported(rezip('m.pt2', {member: change, **hostile}))


@pytest.mark.parametrize('target', [
    'torch.hub.load', 'torch.ops.load_library', 'torch.ops.aten.from_file',
    'torch.ops.aten.from_file.default', 'torch.ops.aten.conv2d.__class__',
    'torch.ops.aten.conv2d.overloads', 'torch.ops.aten.__doc__.default',
    '_operator.attrgetter', 'math.sqrt', 'eval', '#x:y', ''
])
def test_only_arithmetic_is_called(rezip, target):
    change = edited(lambda model: model['graph_module']['graph']['nodes'][0].
                    update(target=target))
    with pytest.raises(UserError, match='not known to be arithmetic'):
        load_exported(rezip('m.pt2', {MODEL: change}))


def test_expressions_are_not_evaluated(exported, rezip, marker):
    # sympy.sympify, which torch calls, evaluates Python.
    code = f'__import__("pathlib").Path({str(marker)!r}).touch()'

    def change(model):
        graph = model['graph_module']['graph']
        for value in graph['tensor_values'].values():
            for size in value['sizes']:
                if 'as_expr' in size:
                    size['as_expr']['expr_str'] = code
        for value in graph['sym_int_values'].values():
            value['as_expr']['expr_str'] = code
        model['range_constraints'] = {code: dict(min_val=0, max_val=None)}
        model['guards_code'] = [code]

    exported.check(rezip('m.pt2', {MODEL: edited(change)}))


BEYOND = edited(lambda config: first(config)['tensor_meta']['sizes'][0].update(
    as_int=10**9))
ENDLESS = edited(
    lambda model: model['graph_module']['graph'].update(outputs=[]))


@pytest.mark.parametrize(('member', 'change'), [(WEIGHTS, BEYOND),
                                                (WEIGHTS, b'null'),
                                                (MODEL, b'[' * 10**5),
                                                (MODEL, b'{}'),
                                                (MODEL, b'\xff'),
                                                (MODEL, ENDLESS)])
def test_damage_is_a_sentence(rezip, member, change):
    with pytest.raises(JobFailedError, match='cannot be read as .pt2'):
        load_exported(rezip('m.pt2', {member: change}))


def test_an_older_format_is_named(tmp_path, marker):
    path = tmp_path / 'old.pt2'
    with zipfile.ZipFile(path, 'w') as file:
        file.writestr('m/version', '8.8')
        file.writestr('m/serialized_state_dict.pt',
                      pickle.dumps(making(marker)))
    with pytest.raises(UserError, match='export it again with torch'):
        load_exported(path)


def test_trust_hands_the_file_to_torch(exported):
    exported.check(exported.folder / 'm.pt2', trust=True)
