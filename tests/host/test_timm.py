"""Networks of timm, in the environment of make test-hosts that has it."""
from importlib.util import find_spec

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from mmcls_repmlp import ResMLP, inject_locality
from mmcls_repmlp.checkpoints import convert_to_mmcls, convert_to_official
from mmcls_repmlp.checkpoints.official import RESMLP_TIMM
from tests.helpers import assert_same, randn
from tests.reparam.test_inject_locality import train_a_little

if find_spec('timm'):
    import timm

    SMALL = dict(img_size=64)  # four patches of 16 in a row

    @pytest.mark.parametrize(
        ('name', 'layer'),
        [('resmlp_12_224', 'blocks.1.linear_tokens'),
         ('gmlp_s16_224', 'blocks.1.mlp_channels.gate.proj')])
    def test_timms_own_networks(name, layer):
        torch.manual_seed(0)

        def build():
            return timm.create_model(name, num_classes=5, **SMALL).double()

        original, x = build(), randn(2, 3, 64, 64)
        model = inject_locality(original)
        assert torch.equal(model.eval()(x), original.eval()(x))
        assert model.get_submodule(layer).grid == (4, 4)
        trained = train_a_little(model, x)
        expected = trained(x)
        merged = timm.utils.reparameterize_model(trained)
        assert_same(merged(x), expected, 1e-12)
        fresh = build().eval()
        fresh.load_state_dict(merged.state_dict())
        assert_same(fresh(x), expected, 1e-12)

    @pytest.mark.parametrize(('name', 'arch'), [('resmlp_12_224', 's12'),
                                                ('resmlp_24_224', 's24')])
    def test_it_is_that_of_timm(name, arch):
        torch.manual_seed(0)
        theirs = timm.create_model(name, img_size=64).double().eval()
        with torch.no_grad():
            for key, value in theirs.named_parameters():
                if '.ls' in key:
                    value.uniform_(0.1, 0.3)
        weights = convert_to_mmcls(theirs.state_dict(), RESMLP_TIMM)
        ours = ResMLP(arch, img_size=64).double().eval()
        prefix = 'backbone.'
        ours.load_state_dict({
            key.removeprefix(prefix): value
            for key, value in weights.items() if key.startswith(prefix)
        })
        images = randn(2, 3, 64, 64)
        pooled = ours(images)[0].mean((2, 3))
        assert_same(
            F.linear(pooled, weights['head.fc.weight'],
                     weights['head.fc.bias']), theirs(images), 1e-12)
        back = convert_to_official(weights, RESMLP_TIMM)
        assert back.keys() == theirs.state_dict().keys()
