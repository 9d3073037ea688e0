import pytest

from mmcls_repmlp.jobs.get_flops import get_flops
from repmlp_lite.errors import UserError
from tests.helpers import CONFIGS, MINI

B224 = CONFIGS / 'repmlp-base_8xb64_in1k.py'
DEPLOY = CONFIGS / 'repmlp-base_deploy_8xb64_in1k.py'


def test_both_forms_of_b224(capsys):
    counts = get_flops(B224, both_forms=True)
    # The official README's, at more digits; head included.
    assert [round(c.params / 1e6, 3)
            for c in counts.values()] == [68.243, 68.333]
    assert [round(c.macs / 1e9, 3) for c in counts.values()] == [6.676, 6.657]
    said = capsys.readouterr().out
    assert 'one image of 224x224' in said
    assert 'deploy form      68.333 M params    6.657 G MACs' in said
    assert get_flops(DEPLOY) == dict(deploy=counts['deploy'])


def test_another_shape():
    one, = get_flops(CONFIGS / MINI).values()
    double, = get_flops(CONFIGS / MINI, shape=(32, 64)).values()
    assert double.params == one.params
    # Twice the positions; head and gates do not grow.
    assert 1.99 < double.macs / one.macs < 2


@pytest.mark.parametrize(('config', 'kwargs', 'message'),
                         [(DEPLOY, dict(both_forms=True), 'the deploy form'),
                          (B224, dict(shape=(230, 224)),
                           'images of 230x224 do not fit img_size=224x224')])
def test_what_cannot_be_counted(config, kwargs, message):
    with pytest.raises(UserError, match=message):
        get_flops(config, **kwargs)
