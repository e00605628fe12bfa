"""Sequences of several lengths go together only where this was seen to change nothing, and then it changes nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnreport.capture.batches import mixed_batches
from rnnreport.capture.probe import make_probe
from rnnreport.capture.recorder import Recorder
from rnnreport.load.corpus import Corpus
from rnnreport.results.recorded import Probe, Task

LENGTHS = (4, 9, 1, 6, 9, 2, 5, 3, 7, 8, 4, 6)
VOCABULARY, UNITS, CLASSES = 11, 6, 3


def probe_of(task: Task, lengths: tuple[int, ...] = LENGTHS) -> Probe:
    rng = np.random.default_rng(1)
    corpus = Corpus(
        name="words",
        task=task,
        sequence_ids=tuple(f"s{number}" for number in range(len(lengths))),
        inputs=tuple(rng.integers(1, VOCABULARY, length).astype(np.int32) for length in lengths),
        labels=rng.integers(0, CLASSES, len(lengths)).astype(np.int32)
        if task == "classification"
        else np.zeros(0, int),
        step_targets=tuple(rng.integers(0, CLASSES, length).astype(np.int32) for length in lengths)
        if task == "tagging"
        else (),
        vocabulary=tuple(f"w{number}" for number in range(VOCABULARY)),
        class_names=tuple(f"k{number}" for number in range(CLASSES)),
        feature_names=(),
        skipped={},
        unknown_tokens=0,
        sha256="",
    )
    return make_probe(corpus)


class Net(nn.Module):
    """An LSTM over tokens that counts how often it is called."""

    def __init__(self, *, both: bool = False) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.embedding = nn.Embedding(VOCABULARY, 5)
        self.lstm = nn.LSTM(5, UNITS, num_layers=2, batch_first=True, bidirectional=both)
        self.head = nn.Linear(UNITS * (1 + both), CLASSES)
        self.runs: list[int] = []  # an attribute that is set anew is put back after a pass

    def states(self, tokens: Tensor) -> Tensor:
        self.runs.append(len(tokens))
        states: Tensor = self.lstm(self.embedding(tokens))[0]
        return states


class LastOfEach(Net):
    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        return self.head(self.states(tokens)[torch.arange(len(tokens)), lengths - 1])


class Packed(Net):
    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        self.runs.append(len(tokens))
        _, (last, _) = self.lstm(pack_padded_sequence(self.embedding(tokens), lengths, batch_first=True))
        return self.head(last[-2:].transpose(0, 1).flatten(1) if self.lstm.bidirectional else last[-1])


class PackedTagger(Net):
    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        self.runs.append(len(tokens))
        packed, _ = self.lstm(pack_padded_sequence(self.embedding(tokens), lengths, batch_first=True))
        return self.head(pad_packed_sequence(packed, batch_first=True)[0])


class Tagger(Net):
    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.states(tokens))


class LastOfBatch(Net):
    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.states(tokens)[:, -1])


class Largest(Net):
    """What the padding would hide behind the largest token of a sequence, and show in a sequence of small ones."""

    def forward(self, tokens: Tensor) -> Tensor:
        self.states(tokens)
        return nn.functional.one_hot(tokens, VOCABULARY).amax(dim=1).float()[:, :CLASSES]


class Mean(Net):
    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.states(tokens).mean(dim=1))


CASES: list[tuple[Net, Task, bool]] = [
    (LastOfEach(), "classification", True),
    (Packed(), "classification", True),
    (Packed(both=True), "classification", True),
    (PackedTagger(both=True), "tagging", True),
    (Tagger(), "tagging", True),
    (Tagger(both=True), "tagging", False),
    (LastOfBatch(), "classification", False),
    (Mean(), "classification", False),
]


@pytest.mark.parametrize(("net", "task", "together"), CASES, ids=lambda value: type(value).__name__)
def test_what_is_recorded_is_what_the_model_gives_for_each_sequence_alone(
    net: Net, task: Task, together: bool, tmp_path: Path
) -> None:
    net.eval()
    wants_lengths = isinstance(net, (LastOfEach, Packed, PackedTagger))
    probe = probe_of(task)
    recorder = Recorder(net, probe, tmp_path / "run")
    assert recorder.inspection.padding is together
    net.runs.clear()
    page = recorder.capture(1)
    prefixes = recorder.inspection.expected.prefixes.size and max(LENGTHS)
    assert (len(net.runs) - prefixes < len(set(LENGTHS))) is together
    with torch.no_grad():
        for place, (start, stop) in enumerate(zip(probe.offsets, probe.offsets[1:], strict=False)):
            tokens = torch.from_numpy(probe.tokens[start:stop].astype(np.int64))[None]
            states, (_, cells) = net.lstm(net.embedding(tokens))
            scores = net(tokens, *(torch.tensor([stop - start]),) * wants_lengths)[0].softmax(-1).numpy()
            h, c = page.states["lstm.1.fwd.h"], page.states["lstm.1.fwd.c"]
            np.testing.assert_allclose(h[start:stop], states[0, :, :UNITS].numpy(), atol=1e-6)
            np.testing.assert_allclose(c[stop - 1], cells[2 if net.lstm.bidirectional else 1, 0].numpy(), atol=1e-6)
            if task == "tagging":
                np.testing.assert_allclose(page.step_output[start:stop], scores, atol=1e-6)
            else:
                np.testing.assert_allclose(page.model_output[place], scores, atol=1e-6)
                if recorder.inspection.expected.head:
                    np.testing.assert_allclose(page.step_output[stop - 1], scores, atol=1e-5)


def test_a_model_that_is_not_told_the_lengths_is_not_trusted_for_a_lucky_trial(tmp_path: Path) -> None:
    probe = probe_of("classification")
    order = np.argsort(-probe.lengths, kind="stable")
    tokens = probe.tokens.clip(min=CLASSES).copy()
    for place in order[[0, len(order) // 2, -1]]:  # the sequences of the trial hold the token of the padding anyway
        tokens[probe.offsets[place]] = 0
    net = Largest().eval()
    recorder = Recorder(net, replace(probe, tokens=tokens), tmp_path / "run")
    page = recorder.capture(1)
    with torch.no_grad():
        for place, (start, stop) in enumerate(pairwise(probe.offsets.tolist())):
            alone = net(torch.from_numpy(tokens[start:stop].astype(np.int64))[None])[0].softmax(-1)
            np.testing.assert_allclose(page.model_output[place], alone.numpy(), atol=1e-6)


def test_without_labels_the_states_alone_tell(tmp_path: Path) -> None:
    assert Recorder(LastOfBatch().eval(), probe_of("unlabelled"), tmp_path / "run").inspection.padding


def test_one_length_needs_no_padding(tmp_path: Path) -> None:
    assert not Recorder(Tagger().eval(), probe_of("tagging", (4, 4, 4)), tmp_path / "run").inspection.padding


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=60),
    size=st.integers(1, 20),
    steps=st.integers(1, 200),
)
def test_mixed_batches_hold_every_sequence_once_within_their_limits(lengths: list[int], size: int, steps: int) -> None:
    probe = probe_of("unlabelled", tuple(lengths))
    batches = mixed_batches(probe, size, steps)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        own = probe.lengths[batch]
        assert own[0] == own.max()
        assert len(batch) <= size
        assert len(batch) == 1 or own.max() * len(batch) <= min(steps, 2 * own.sum())
