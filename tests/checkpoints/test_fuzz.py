"""Whatever a file is, it gives the right weights or one short sentence.

``make fuzz`` tries thousands.
"""
import os

import pytest
import torch
from torch import nn

from mmcls_repmlp.checkpoints import (class_names, load_strictly,
                                      read_checkpoint, state_dict_of)
from repmlp_lite.errors import CheckpointError
from tests.fuzz import example_files, example_weights, mutants

MUTANTS = int(os.environ.get('MUTANTS', 300))
WEIGHTS = example_weights()
FILES = example_files(WEIGHTS)


def model():
    conv, fc = nn.Conv2d(3, 4, 3, bias=False), nn.Linear(4, 5).half()
    fc.bias.data = fc.bias.data.double()
    bn = nn.BatchNorm2d(4, affine=False)
    return nn.ModuleDict(dict(conv=conv, bn=bn, fc=fc))


def load(path):
    filled, content = model(), read_checkpoint(path)
    load_strictly(filled, state_dict_of(content, path), path)
    assert all(isinstance(name, str) for name in class_names(content))
    return filled.state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(
        torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize('name', FILES)
def test_mutants_give_the_right_weights_or_a_sentence(tmp_path, name):
    suffix = 'safetensors' if name == 'safetensors' else 'pth'
    path, refused = tmp_path / f'a.{suffix}', 0
    path.write_bytes(FILES[name])
    assert same(load(path), WEIGHTS)  # unchanged
    for i, (way, mutant, checked) in enumerate(
            mutants(FILES[name], MUTANTS // len(FILES), seed=len(name))):
        path.write_bytes(mutant)
        try:
            loaded = load(path)
        except CheckpointError as error:
            refused += 1
            assert len(str(error)) <= 300, (way, i)
        else:
            assert all(value.isfinite().all() for value in loaded.values())
            # Nobody can tell a forged number in a file without checksums.
            assert not checked or same(loaded, WEIGHTS), (way, i)
    assert refused  # or nothing was tried
