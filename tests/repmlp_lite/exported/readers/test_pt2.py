import pickle
import zipfile

import pytest

from repmlp_lite.errors import JobFailedError, UserError
from repmlp_lite.exported.load_exported import load_exported
from tests.helpers import making


def test_a_trusted_file_is_read(exported):
    exported.check(exported.folder / 'm.pt2', trust=True)


def test_others_are_not_touched(exported, tmp_path, marker):
    path = tmp_path / 'm.pt2'
    with zipfile.ZipFile(exported.folder / 'm.pt2') as old, zipfile.ZipFile(
            path, 'w') as new:
        for name in old.namelist():
            hostile = name.endswith('sample_inputs/model.pt')
            new.writestr(
                name,
                pickle.dumps(making(marker)) if hostile else old.read(name))
    with pytest.raises(UserError, match='torch runs code.*.onnx and .xml '):
        load_exported(path)
    assert not marker.exists()
    with pytest.raises(JobFailedError, match='cannot be read as .pt2'):
        load_exported(path, trust=True)
    marker.unlink()
