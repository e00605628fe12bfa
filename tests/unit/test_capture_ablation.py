"""Classifiers without parts of their input: against the model called by hand, and against what was planted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnreport.analyses.ablation import left_out_steps
from rnnreport.analyses.bootstrap import BootstrapParams
from rnnreport.capture.ablation import AblationParams, read_ablation
from rnnreport.capture.recorder import Recorder
from rnnreport.load.corpus import Corpus
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Ablation
from rnnreport.results.schema import LeftOutSteps, Unavailable
from rnnreport.train.nets import Classifier

torch.set_num_threads(1)


class Summing(nn.Module):
    """Names class 1 where the sum of all values is positive: it knows no order, so what a cut costs is known."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(1, 2, nonlinearity="relu", batch_first=True, bias=False)
        with torch.no_grad():
            self.rnn.weight_ih_l0.copy_(torch.tensor([[1.0], [-1.0]]))
            self.rnn.weight_hh_l0.copy_(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]))

    def forward(self, values: Tensor) -> Tensor:
        last = self.rnn(values)[0][:, -1]
        difference = 8 * (last[:, 0] - last[:, 1])
        return torch.stack([-difference, difference], dim=1)


def corpus_of(values: list[np.ndarray], labels: np.ndarray) -> Corpus:
    return Corpus(
        name="numbers",
        task="classification",
        sequence_ids=tuple(f"n{place}" for place in range(len(values))),
        inputs=tuple(values),
        labels=labels.astype(np.int32),
        step_targets=(),
        vocabulary=(),
        class_names=("no", "yes"),
        feature_names=tuple(f"f{place}" for place in range(values[0].shape[1])),
        skipped={},
        unknown_tokens=0,
        sha256="",
    )


def recorded(model: nn.Module, corpus: Corpus, path: Path) -> tuple[Recorder, Ablation]:
    recorder = Recorder(model, corpus, path)
    recorder.record(3)
    found = read_ablation(recorder.model, recorder.probe, recorder.inspection, 3)
    assert found is not None
    recorder.folder.write_record(found)
    return recorder, found


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_outputs_are_those_of_the_model_on_the_shortened_sequences(tmp_path: Path, cell: str) -> None:
    torch.manual_seed(0)
    draw = np.random.default_rng(0)
    values = [draw.normal(size=(int(length), 2)).astype(np.float32) for length in draw.integers(4, 12, 30)]
    model = Classifier(cell, 5, 2, features=2)  # type: ignore[arg-type]
    recorder, found = recorded(model, corpus_of(values, draw.integers(0, 2, 30)), tmp_path / "run")
    probe = recorder.probe
    reach = int(np.sort(probe.lengths)[15])
    assert found.edges.tolist() == list(range(reach + 1)) and (probe.lengths[found.sequences] >= reach).all()
    with torch.no_grad():
        for stretch, place in ((0, 0), (2, 3), (reach - 1, 5)):
            n = found.sequences[place]
            rows = probe.values[probe.offsets[n] : probe.offsets[n + 1]]
            cut = np.delete(rows, np.arange(found.edges[stretch], found.edges[stretch + 1]), axis=0)
            expected = torch.softmax(model.eval()(torch.tensor(cut)[None]), dim=1)[0]
            np.testing.assert_allclose(found.output[stretch, place], expected, atol=1e-6)
    assert recorder.folder.record(Ablation) is not None


def test_the_step_that_decides_is_found(tmp_path: Path) -> None:
    """Only step 3 of 6 says anything; without it the class is a guess."""
    draw = np.random.default_rng(1)
    labels = draw.integers(0, 2, 200)
    noise = 0.02 * draw.normal(size=(200, 6, 1))
    noise[:, 3, 0] = 2 * labels - 1
    recorder, _ = recorded(Summing(), corpus_of([*noise.astype(np.float32)], labels), tmp_path / "run")
    found = left_out_steps(recorder.folder, recorder.probe, BootstrapParams())
    assert isinstance(found, LeftOutSteps)
    assert found.accuracy == 1 and found.drop[0].argmax() == 3
    assert found.drop[1, 3] > 0.35 and found.drop[2, 3] < 0.65 and (np.delete(found.drop[0], 3) == 0).all()
    none_of_200 = 1 - 0.025 ** (1 / 200)
    np.testing.assert_allclose(np.delete(found.drop[1:], 3, axis=1), [[-none_of_200] * 5, [none_of_200] * 5], rtol=1e-5)
    assert found.surprise[1, 3] > 0
    assert found.finding.startswith("Without step 4 accuracy falls most, by 4") or "by 5" in found.finding
    assert (
        "5 of the 6 stretches can be left out at a loss of less than 2 points" in found.finding
        and "200 sequences" in found.finding
    )


def test_nothing_is_claimed_where_every_step_says_the_same(tmp_path: Path) -> None:
    draw = np.random.default_rng(2)
    labels = draw.integers(0, 2, 80)
    values = np.repeat((2.0 * labels - 1)[:, None, None], 6, axis=1).astype(np.float32)
    recorder, _ = recorded(Summing(), corpus_of([*values], labels), tmp_path / "run")
    found = left_out_steps(recorder.folder, recorder.probe, BootstrapParams())
    assert isinstance(found, LeftOutSteps) and not found.drop[0].any() and (found.drop[2] > 0.04).all()
    assert found.finding.startswith("No stretch of steps is needed beyond doubt")


def test_a_long_input_is_cut_in_stretches_and_few_sequences(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    values = [draw.normal(size=(53, 1)).astype(np.float32) for _ in range(40)]
    recorder = Recorder(Summing(), corpus_of(values, draw.integers(0, 2, 40)), tmp_path / "run")
    found = read_ablation(
        recorder.model, recorder.probe, recorder.inspection, 0, AblationParams(steps=53 * 10 * 7, fewest=5)
    )
    assert found is not None
    assert found.edges.size == 11 and found.edges[-1] == 53 and found.sequences.size == 7
    # 6 numbers that a step is multiplied with: at most 5 sequences of 53 steps, ten times
    few = AblationParams(multiplications=6 * 53 * 10 * 5, fewest=5)
    bounded = read_ablation(recorder.model, recorder.probe, recorder.inspection, 0, few)
    assert bounded is not None and bounded.sequences.size == 5 and bounded.reason == ""
    large = read_ablation(recorder.model, recorder.probe, recorder.inspection, 0, replace(few, fewest=6))
    assert large is not None and large.sequences.size == 0 and "so large" in large.reason


def test_what_cannot_be_recorded_has_a_reason(tmp_path: Path) -> None:
    class Fixed(Classifier):
        def forward(self, inputs: Tensor) -> Tensor:
            if inputs.shape[1] != 6:
                raise ValueError("six steps, please")
            return super().forward(inputs)

    draw = np.random.default_rng(4)
    values = [draw.normal(size=(6, 2)).astype(np.float32) for _ in range(20)]
    recorder, found = recorded(
        Fixed("RNN", 3, 2, features=2), corpus_of(values, draw.integers(0, 2, 20)), tmp_path / "a"
    )
    assert "six steps" in found.reason
    result = left_out_steps(recorder.folder, recorder.probe, BootstrapParams())
    assert isinstance(result, Unavailable) and "six steps" in result.reason
    short = Recorder(
        Classifier("RNN", 3, 2, features=2), corpus_of([v[:1] for v in values], np.arange(20) % 2), tmp_path / "b"
    )
    assert read_ablation(short.model, short.probe, short.inspection, 0) is None
    recorder.record(4)  # a later epoch: what was recorded is no longer of the last one
    assert RunFolder(tmp_path / "a").record(Ablation) is None
    result = left_out_steps(recorder.folder, recorder.probe, BootstrapParams())
    assert isinstance(result, Unavailable) and "not recorded" in result.reason
