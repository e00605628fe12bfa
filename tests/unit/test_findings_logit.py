"""The identity that RNNVis starts from: what the words changed adds up to the logit (rnnvis.md, fixture 7)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rnnreport.capture.recorder import Recorder
from rnnreport.formulas import changes
from rnnreport.load.corpus import load_corpus
from rnnreport.train.nets import Cell, Net
from tests.trainings import CELLS


@pytest.mark.parametrize("cell", CELLS)
def test_changes_of_the_state_add_up_to_the_logit(tmp_path: Path, cell: Cell) -> None:
    draw = np.random.default_rng(0)
    rows = [f"{' '.join(draw.choice(list('abcdefg'), draw.integers(1, 12)))}\t{'xyz'[row % 3]}" for row in range(40)]
    (tmp_path / "texts.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n")
    corpus = load_corpus(tmp_path / "texts.tsv")
    torch.manual_seed(0)
    net = Net(cell, 3, per_sequence=True, units=9, layers=2, vocabulary=len(corpus.vocabulary), embedding=4).eval()
    recorder = Recorder(net, corpus, tmp_path / "run")
    probe, found = recorder.probe, recorder.capture(0)
    states = found.states[str(recorder.state_keys[0])]
    assert recorder.state_keys[0].kind == "h"
    delta = changes(states, probe.offsets)
    sums = np.add.reduceat(delta.astype(np.float64), probe.offsets[:-1], axis=0)
    np.testing.assert_allclose(sums, states[probe.offsets[1:] - 1], atol=1e-6)

    weight, bias = (values.detach().numpy() for values in (net.head.weight, net.head.bias))
    shares = delta @ weight.T  # (S, K): what each word adds to each logit
    logits = np.add.reduceat(shares.astype(np.float64), probe.offsets[:-1], axis=0) + bias
    tokens = np.split(probe.tokens, probe.offsets[1:-1])
    with torch.no_grad():
        own = torch.cat([net(torch.from_numpy(sequence).long()[None]) for sequence in tokens]).numpy()
    np.testing.assert_allclose(logits, own, atol=1e-4)

    # The page shows probabilities: their log-odds move by just these shares.
    odds = np.log(found.step_output[:, 1:] / found.step_output[:, :1])
    moved = changes(odds, probe.offsets)
    first = probe.offsets[:-1]
    expected = shares[:, 1:] - shares[:, :1]
    expected[first] += bias[1:] - bias[0]
    np.testing.assert_allclose(moved, expected, atol=1e-4)
    assert np.abs(expected).max() > 0.01  # a hundred times what is allowed for
