import pytest
from mmengine.config import Config

from mmcls_repmlp.jobs.print_config import print_config
from mmcls_repmlp.jobs.shared.config import read_config
from repmlp_lite.errors import UserError


def test_what_is_printed_and_saved_is_the_config(project, tmp_path):
    lines, path = [], tmp_path / 'a.py'
    options = {'model.backbone.out_indices': (1, 2)}
    path.write_text('precious')
    with pytest.raises(UserError, match='exists.*force=True'):
        print_config(project.config, options, path)
    assert path.read_text() == 'precious'
    print_config(
        project.config, options, path, force=True, report=lines.append)
    expected = read_config(project.config, options)
    for text in (lines[0], path.read_text()):
        assert '_base_' not in text
        assert Config.fromstring(text, '.py').to_dict() == expected.to_dict()
    assert expected.model.backbone.out_indices == (1, 2)


@pytest.mark.parametrize(('name', 'message'),
                         [('quick.py', 'the very file that is read'),
                          ('a.txt', r'a config: end it in \.py')])
def test_what_is_never_written(project, name, message):
    before, path = project.config.read_bytes(), project.folder / name
    with pytest.raises(UserError, match=message):
        print_config(project.config, save_path=path, force=True)
    assert project.config.read_bytes() == before
