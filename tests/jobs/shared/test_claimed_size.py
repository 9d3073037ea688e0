import pytest
import torch

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.jobs.shared.recorded_config import config_for
from repmlp_lite.errors import ConfigError


@pytest.mark.parametrize(('key', 'claim', 'reason'), [
    ('head.num_classes', 10**12, r'[\d,]{15,} values, the file [\d,]+'),
    ('head.num_classes', 10**30, ''),
    ('backbone.img_size', 3200, r'[\d,]{15,} values, the file [\d,]+'),
    ('backbone.img_size', 10**6, 'overflow'),
    ('backbone.arch.depths',
     (10**9, 1), r'1,000,000,001 parts, the file \d+ weights'),
    ('backbone.out_indices',
     (0, ) * 10**5, r'100,000 parts, the file \d+ weights'),
    ('backbone.img_size', 5, 'cannot be built'),
])
def test_a_model_much_larger_than_its_file_is_not_built(
        project, tmp_path, key, claim, reason):
    content = read_checkpoint(project.trained)
    cfg = config_for(None, project.trained).cfg
    cfg.merge_from_dict({f'model.{key}': claim})
    content['meta']['cfg'] = f'model = {cfg.model.to_dict()!r}'
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(ConfigError, match=rf'is not used \(.*{reason}'):
        config_for(None, tmp_path / 'a.pth')
