from pathlib import Path

import torch
from peak_memory import peak_memory


def test_a_peak_that_is_over_is_measured():
    peak = peak_memory(lambda: torch.ones(16, 2**20) is None)
    assert 60 * 2**20 < peak < 90 * 2**20


def test_none_where_the_system_does_not_report_it(monkeypatch):

    def refuse(path, text):
        raise PermissionError(path)

    monkeypatch.setattr(Path, 'write_text', refuse)
    assert peak_memory(lambda: None) is None
