import pytest

from mmcls_repmlp.apis.model import load_model
from mmcls_repmlp.errors import UserError
from tests.helpers import assert_same, randn


def test_both_forms_are_loaded_and_equal(project):
    trained = load_model(project.config, project.trained)
    merged = load_model(project.deploy_config, project.merged)
    assert merged.backbone.deploy and not merged.training
    assert trained.data_preprocessor.mean.flatten().tolist() == [78.] * 3
    x = randn(2, 3, 32, 32).float()
    assert_same(merged(x), trained(x), 2e-5)


def test_what_does_not_fit_is_refused(project):
    with pytest.raises(UserError, match='training form'):
        load_model(project.deploy_config, project.trained)
