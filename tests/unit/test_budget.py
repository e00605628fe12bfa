"""The budget of what runs the model again."""

from __future__ import annotations

import pytest
import torch

from rnnreport.budget import LEFT_OUT, within
from rnnreport.capture.perturbation import PerturbationParams
from rnnreport.capture.recorder import Recorder
from rnnreport.capture.run import record_once
from rnnreport.load.corpus import load_corpus
from rnnreport.results.causes import Attribution, GradientFlow, UnitAblation
from rnnreport.results.recorded import Ablation, Perturbation
from tests.seeds import WORDS, Net


@pytest.mark.parametrize(("budget", "times"), [("quick", 0), ("standard", 1), ("full", 10)])
def test_a_budget_multiplies_what_may_be_spent(budget, times):
    params = within(PerturbationParams(sequences=3), budget)
    assert params == PerturbationParams(sequences=3, multiplications=times * PerturbationParams().multiplications)


@pytest.mark.parametrize(("budget", "reason"), [("quick", LEFT_OUT), ("standard", "")])
def test_a_quick_budget_says_what_it_leaves_out(budget, reason, tmp_path):
    rows = [f"{' '.join(WORDS[place % 3 : place % 3 + 4])}\t{'down' if place % 2 else 'up'}" for place in range(24)]
    (tmp_path / "corpus.tsv").write_text("\n".join(["text\tlabel", *rows]))
    (tmp_path / "words.txt").write_text("\n".join(WORDS))
    corpus = load_corpus(tmp_path / "corpus.tsv", vocabulary=tmp_path / "words.txt")
    torch.manual_seed(0)
    recorder = Recorder(Net(), corpus, tmp_path / "run")
    recorder.record(1)
    record_once(recorder, 1, budget)
    folder = recorder.folder
    left_out = (
        folder.salience(),
        folder.salience(1),
        folder.record(Perturbation),
        folder.record(Ablation),
        folder.record(UnitAblation),
        folder.record(Attribution),
        folder.record(GradientFlow),
    )
    assert [one.reason for one in left_out if one] == [reason] * 7
