import pytest

from mmcls_repmlp.models.repmlpnet.hierarchy import stage_outputs

# Layers that write down what they did.
STAGES = [lambda x, i=i: [*x, f's{i}'] for i in range(3)]
DOWNS = [lambda x, i=i: [*x, f'd{i}'] for i in range(2)]


def run(indices, after):
    return [
        ''.join(out) for out in stage_outputs(
            [], STAGES, DOWNS, lambda x: [*x, 'n'], indices, after)
    ]


@pytest.mark.parametrize(
    ('indices', 'after', 'expected'),
    [((0, 1, 2), False, ['s0', 's0d0s1', 's0d0s1d1s2n']),
     ((0, 1, 2), True, ['s0d0', 's0d0s1d1', 's0d0s1d1s2n']),
     ((1, ), False, ['s0d0s1']), ((2, ), True, ['s0d0s1d1s2n'])])
def test_outputs(indices, after, expected):
    assert run(indices, after) == expected
