"""rnnreport run --open shows the page to people, not to CI."""

from __future__ import annotations

from pathlib import Path

import pytest

MODEL = """
import torch
from torch import nn

class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.rnn, self.head = nn.Embedding(4, 3), nn.GRU(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, tokens):
        return self.head(self.rnn(self.embedding(tokens))[0][:, -1])
"""


@pytest.mark.parametrize("ci", ["", "true"])
def test_the_page_is_opened_unless_ci_is_set(rnnreport, monkeypatch, ci):
    Path("opened_model.py").write_text(MODEL)
    Path("corpus.tsv").write_text("text\tlabel\na b\tyes\nb a\tno\nb b a\tno\n")
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setenv("CI", ci)
    outcome = rnnreport("run", "--model", "opened_model:Reader", "--corpus", "corpus.tsv", "--out", "run", "--open")
    assert outcome.code == 0
    assert opened == ([] if ci else [Path("run/report.html").absolute().as_uri()])
