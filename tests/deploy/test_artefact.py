import subprocess
import sys

import pytest

from mmcls_repmlp.deploy import artefact
from tests.helpers import ROOT


def test_loads_without_mmcls_and_without_torch():
    path = ROOT / 'mmcls_repmlp' / 'deploy' / 'artefact.py'
    code = (f'import runpy, sys; runpy.run_path({str(path)!r}); '
            'print({"mmcls", "mmcls_repmlp", "mmengine", "torch"} & '
            '{*sys.modules})')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True,
                          text=True)
    assert done.stdout == 'set()\n', done.stderr


@pytest.mark.parametrize(('suffix', 'lost', 'missing'), [
    ('.onnx', 'onnxruntime', ['onnxruntime']), ('.xml', 'openvino',
                                                ['openvino']),
    ('.onnx', 'openvino', []), ('.pt', 'openvino', [])])
def test_missing_packages_are_named(monkeypatch, suffix, lost, missing):
    monkeypatch.setattr(artefact, 'find_spec',
                        lambda name: None if name == lost else name)
    assert artefact.missing_packages(suffix) == missing
