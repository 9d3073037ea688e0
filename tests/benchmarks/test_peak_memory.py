from pathlib import Path

import torch

from benchmarks.peak_memory import peak_memory


def test_the_peak_is_seen_even_if_it_is_gone_at_the_end():
    peak = peak_memory(lambda: torch.ones(16, 2**20) is None)
    assert 60 * 2**20 < peak < 90 * 2**20


def test_says_nothing_where_the_system_does_not_tell(monkeypatch):

    def refuse(path, text):
        raise PermissionError(path)

    monkeypatch.setattr(Path, 'write_text', refuse)
    assert peak_memory(lambda: None) is None
