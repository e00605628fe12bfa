"""Time and memory of streaming the responses over a corpus, against the forward pass over the same tokens.

``python -m tests.benchmarks.streaming [TOKENS [whole]]`` (a minute), one thread. An untrained LSTM of 2 layers of 650
units, of which h, c and the four gates are streamed, 300 words. From 1,000,000 tokens up the forward pass alone is left
out. With "whole" the whole stage of capture is run once, with a probe set of 50,000 steps and its gates.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rnnreport.capture.batches import equal_length_batches, make_batch
from rnnreport.capture.inspection import a_parameter, inspect_model
from rnnreport.capture.isolation import untouched
from rnnreport.capture.run import capture_run
from rnnreport.capture.streaming import stream_responses
from rnnreport.load.corpus import Corpus
from rnnreport.progress import silence
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Probe
from tests.benchmarks.timing import seconds

STEPS, WORDS, UNITS, BATCH, REPEATS = 50, 2000, 650, 64, 3
LARGE = 1_000_000


class Reader(nn.Module):
    """Two layers of LSTM and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.rnn = nn.Embedding(WORDS, UNITS), nn.LSTM(UNITS, UNITS, 2, batch_first=True)
        self.head = nn.Linear(UNITS, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        """Class scores (B, 2)."""
        scores: Tensor = self.head(self.rnn(self.embedding(tokens))[0][:, -1])
        return scores


def corpus_of(count: int) -> Probe:
    """Sequences of 50 tokens with the frequencies of a natural language."""
    tokens = (np.random.default_rng(0).zipf(1.3, count * STEPS) % WORDS).astype(np.int32)
    none, names = np.zeros(0, np.int32), tuple(map(str, range(count)))
    lengths, labels = np.full(count, STEPS, np.int32), np.zeros(count, np.int32)
    vocabulary, series = tuple(map(str, range(WORDS))), np.zeros((0, 0), np.float32)
    return Probe(
        "classification", names, lengths, tokens, series, labels, none, series, vocabulary, names[:2], (), count
    )


def capture(model: Reader, probe: Probe) -> None:
    """The whole stage, from a corpus of these sequences to a run folder that is thrown away."""
    corpus = Corpus(
        name="drawn",
        task=probe.task,
        sequence_ids=probe.sequence_ids,
        inputs=tuple(np.split(probe.tokens, len(probe.lengths))),
        labels=probe.labels,
        step_targets=(),
        vocabulary=probe.vocabulary,
        class_names=probe.class_names,
        feature_names=(),
        skipped={},
        unknown_tokens=0,
        sha256="",
    )
    with tempfile.TemporaryDirectory() as folder:
        capture_run(model, corpus, RunFolder(Path(folder) / "run"), name="n", source="benchmark", weights=None)


def compare(model: Reader, corpus: Probe, large: bool) -> None:
    """One line per repeat, the two passes taking turns, and the median ratio."""
    with untouched(model):
        found = inspect_model(model, corpus_of(20), None, None, BATCH)

    def forward() -> None:
        with torch.no_grad():
            for places in equal_length_batches(corpus, BATCH, 2**15):
                model(make_batch(corpus, places, a_parameter(model)).inputs)

    def stream() -> None:
        stream_responses(model, corpus, found, BATCH)

    if large:
        sys.stdout.write(f"stream {seconds(stream):.1f} s\n")
        return
    ratios = []
    for _ in range(REPEATS):
        plain, streamed = seconds(forward), seconds(stream)
        ratios.append(streamed / plain)
        sys.stdout.write(f"forward {plain:.1f} s, stream {streamed:.1f} s, ratio {ratios[-1]:.2f}\n")
    sys.stdout.write(f"median ratio {statistics.median(ratios):.2f}\n")


def main(tokens: int, whole: bool) -> None:
    """Run one of the measurements and print it with the peak of the memory."""
    silence(True)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, corpus = Reader().eval(), corpus_of(tokens // STEPS)
    if whole:
        capture(model, corpus)
    else:
        compare(model, corpus, tokens >= LARGE)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"{tokens:,} tokens: peak {peak:,.0f} MB resident\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 32_000, sys.argv[2:] == ["whole"])
