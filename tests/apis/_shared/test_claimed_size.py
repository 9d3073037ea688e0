import pytest
import torch

from mmcls_repmlp.apis._shared.recorded_config import config_for
from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.errors import ConfigError


@pytest.mark.parametrize(('part', 'claim', 'reason'), [
    ('head', dict(num_classes=10**12), r'[\d,]{15,} values, the file [\d,]+'),
    ('head', dict(num_classes=10**30), r''),
    ('backbone', dict(img_size=3200), r'[\d,]{15,} values, the file [\d,]+'),
    ('backbone', dict(img_size=10**6), 'overflow'),
    ('backbone.arch', dict(depths=(10**9, 1)),
     r'1,000,000,001 parts, the file \d+ weights'),
    ('backbone', dict(out_indices=(0, ) * 10**5),
     r'100,000 parts, the file \d+ weights'),
    ('backbone', dict(img_size=5), 'cannot be built'),
])
def test_a_model_much_larger_than_its_file_is_not_built(
        project, tmp_path, part, claim, reason):
    content = read_checkpoint(project.trained)
    model = config_for(None, project.trained).cfg.model
    changed = model
    for name in part.split('.'):
        changed = changed[name]
    changed.update(claim)
    content['meta']['cfg'] = f'model = {model.to_dict()!r}'
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(ConfigError, match=rf'is not used \(.*{reason}'):
        config_for(None, tmp_path / 'a.pth')
