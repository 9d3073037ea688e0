import torch

from repmlp_lite.exported.readers.torch_files import OPERATORS


def test_every_operator_exists():
    assert all(hasattr(torch.ops.aten, name) for name in OPERATORS)


def test_no_operator_takes_a_file_or_makes_a_size():
    for name in OPERATORS:
        packet = getattr(torch.ops.aten, name)
        for overload in packet.overloads():
            names = {
                argument.name
                for argument in getattr(packet, overload)._schema.arguments
            }
            assert not names & {'filename', 'storage', 'source'}, name
            # What has no tensor to start from makes one of any size.
            assert names, name
