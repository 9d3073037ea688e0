import pytest
from mmengine.config import Config

from mmcls_repmlp.apis._shared.config import read_config
from mmcls_repmlp.apis.print_config import print_config
from mmcls_repmlp.errors import UserError


def test_what_is_printed_and_saved_is_the_config(project, tmp_path):
    lines = []
    options = {'model.backbone.out_indices': (1, 2)}
    print_config(
        project.config, options, tmp_path / 'a.py', report=lines.append)
    expected = read_config(project.config, options)
    for text in (lines[0], (tmp_path / 'a.py').read_text()):
        assert '_base_' not in text
        assert (Config.fromstring(text, '.py').to_dict() == expected.to_dict())
    assert expected.model.backbone.out_indices == (1, 2)


def test_files_are_replaced_only_by_force(project, tmp_path):
    path = tmp_path / 'a.py'
    path.write_text('precious')
    with pytest.raises(UserError, match='exists.*force=True'):
        print_config(project.config, save_path=path)
    assert path.read_text() == 'precious'
    print_config(
        project.config, save_path=path, force=True, report=lambda text: None)
    assert Config.fromfile(path).model.type == 'ImageClassifier'


@pytest.mark.parametrize(('name', 'message'),
                         [('quick.py', 'the very file that is read'),
                          ('a.txt', r'a config: end it in \.py')])
def test_what_is_never_written(project, name, message):
    before = project.config.read_bytes()
    with pytest.raises(UserError, match=message):
        print_config(
            project.config, save_path=project.folder / name, force=True)
    assert project.config.read_bytes() == before
