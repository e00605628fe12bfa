"""Models without parts of their input: against the model called by hand, and against what was planted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnreport.analyses.ablation import left_out_steps
from rnnreport.analyses.bootstrap import BootstrapParams
from rnnreport.capture.ablation import AblationParams, read_ablation
from rnnreport.capture.recorder import Recorder
from rnnreport.load.corpus import Corpus
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Ablation, Probe, Task
from rnnreport.results.schema import LeftOutSteps, Unavailable
from rnnreport.train.nets import Classifier
from tests.unit.test_capture_unit_ablation import Net, probe_of

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
            for which, steps in enumerate((rows, cut)):
                expected = torch.log_softmax(model.eval()(torch.tensor(steps)[None]), dim=1)[0]
                label = probe.labels[n]
                assert found.loss[which, stretch, place] == pytest.approx(float(-expected[label]), abs=1e-6)
                assert found.right[which, stretch, place] == float(expected.argmax() == label)
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
    assert (found.score, found.metric, found.answers) == (1, "accuracy", 200) and found.drop[0].argmax() == 3
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
    assert found.edges.size == 11 and found.edges[-1] == 53 and found.sequences.size == 7
    # 6 numbers that a step is multiplied with: at most 5 sequences of 53 steps, ten times
    few = AblationParams(multiplications=6 * 53 * 10 * 5, fewest=5)
    bounded = read_ablation(recorder.model, recorder.probe, recorder.inspection, 0, few)
    assert bounded.sequences.size == 5 and bounded.reason == ""
    large = read_ablation(recorder.model, recorder.probe, recorder.inspection, 0, replace(few, fewest=6))
    assert large.sequences.size == 0 and "so large" in large.reason


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
    assert "a single step" in read_ablation(short.model, short.probe, short.inspection, 0).reason
    recorder.record(4)  # a later epoch: what was recorded is no longer of the last one
    assert RunFolder(tmp_path / "a").record(Ablation) is None
    result = left_out_steps(recorder.folder, recorder.probe, BootstrapParams())
    assert isinstance(result, Unavailable) and "not recorded" in result.reason


def costs_by_hand(model: nn.Module, probe: Probe, n: int, removed: np.ndarray, counted: np.ndarray) -> Tensor:
    """What the answers at the counted steps (or the one answer) cost, the removed steps of sequence ``n`` cut."""
    rows = np.arange(probe.offsets[n], probe.offsets[n + 1])
    read = np.delete(np.arange(rows.size), removed)
    inputs = probe.values[rows[read]] if probe.continuous else probe.tokens[rows[read]].astype(np.int64)
    with torch.no_grad():
        said = model(torch.from_numpy(inputs)[None])[0]
    if probe.task in ("classification", "multi-label", "regression"):
        if probe.task == "classification":
            return functional.cross_entropy(said[None], torch.tensor([int(probe.labels[n])]), reduction="none")
        truth = torch.from_numpy(probe.truths[n])
        if probe.task == "multi-label":
            return functional.binary_cross_entropy_with_logits(said, truth)[None]
        return (((said - truth) ** 2) / torch.from_numpy(probe.truths.var(axis=0))).mean()[None]
    kept = np.isin(read, counted)
    said = said[torch.from_numpy(kept)]
    if probe.task == "step-regression":
        truth = torch.from_numpy(probe.truths[rows[read[kept]]])
        known = truth.isfinite().all(dim=1)
        return (((said - truth) ** 2) / torch.from_numpy(np.nanvar(probe.truths, axis=0))).mean(dim=1)[known]
    truth = torch.from_numpy(probe.targets[rows[read[kept]]].astype(np.int64))
    return functional.cross_entropy(said, truth, ignore_index=-1, reduction="none")[truth >= 0]


@pytest.mark.parametrize(
    ("task", "both_ways"),
    [
        ("multi-label", False),
        ("regression", False),
        ("tagging", False),
        ("tagging", True),
        ("language-model", False),
        ("step-regression", False),
    ],
)
def test_the_answers_of_every_task_are_scored_on_the_shortened_sequences(
    tmp_path: Path, task: Task, both_ways: bool
) -> None:
    """Those after the cut where the network answers at each step, or all others where it reads both ways."""
    probe = probe_of(task)
    each_step = task in ("tagging", "language-model", "step-regression")
    model = Net("GRU", steps=each_step, tokens=not probe.continuous, bidirectional=both_ways).eval()
    recorder = Recorder(model, probe, tmp_path / "run")
    recorder.record(0)
    found = read_ablation(recorder.model, probe, recorder.inspection, 0)
    assert found.reason == "" and found.edges.tolist() == list(range(int(found.edges[-1]) + 1))
    for stretch, place in ((0, 0), (1, 3), (3, 7), (5, 2)):
        n, cut = int(found.sequences[place]), np.array([stretch])
        steps = np.arange(probe.lengths[n])
        counted = np.delete(steps, cut) if both_ways else steps[stretch + 1 :]
        costs = [costs_by_hand(model, probe, n, removed, counted) for removed in (np.zeros(0, int), cut)]
        assert found.items[stretch, place] == len(costs[1]) == (1 if not each_step else len(costs[0]))
        for which in range(2):
            assert found.loss[which, stretch, place] == pytest.approx(float(costs[which].sum()), rel=1e-4, abs=1e-5)
    recorder.folder.write_record(found)
    result = left_out_steps(recorder.folder, probe, BootstrapParams())
    assert isinstance(result, LeftOutSteps)
    if task == "regression":
        risen = (found.loss[1] - found.loss[0]).mean(axis=1)
        np.testing.assert_allclose(result.drop[0], risen, rtol=1e-4)
        assert result.metric == "R²" and result.surprise.shape == (3, 0)
        assert result.score == pytest.approx(1 - found.loss[0, 0].mean(), rel=1e-5)
    elif each_step and not both_ways:  # the longest of the sequences end with the last stretch or soon after it
        assert "after the stretch" in result.guide
        assert np.isnan(result.drop[0]).tolist() == (found.items.sum(axis=1) == 0).tolist()


class Adding(Summing):
    """The sum of the values so far, at each step."""

    def forward(self, values: Tensor) -> Tensor:
        states = self.rnn(values)[0]
        return states[..., :1] - states[..., 1:]


def test_later_quantities_need_the_step_that_they_add_up(tmp_path: Path) -> None:
    """Only step 2 of 6 is not 0: without it the later sums are 0, and before it nothing is asked."""
    draw = np.random.default_rng(5)
    values = np.zeros((40, 6, 1), np.float32)
    values[:, 2, 0] = draw.normal(size=40)
    sums = values.cumsum(axis=1)
    labelled = replace(
        corpus_of([*values], np.zeros(40)),
        task="step-regression",
        labels=np.zeros(0, np.int32),
        class_names=("sum",),
        truths=tuple(sums),
    )
    recorder, recorded_cut = recorded(Adding(), labelled, tmp_path / "run")
    found = left_out_steps(recorder.folder, recorder.probe, BootstrapParams())
    assert isinstance(found, LeftOutSteps), found
    assert recorded_cut.items[:, 0].tolist() == [5, 4, 3, 2, 1, 0]
    cost = (sums[:, 3:] ** 2).mean() / sums.var()
    np.testing.assert_allclose(found.drop[0], [0, 0, cost, 0, 0, np.nan], rtol=1e-4, atol=1e-6)
    assert found.drop[1, 2] > 0 and found.score == pytest.approx(1)
    assert found.finding.startswith(f"Without step 3 the R² of the other answers falls most, by {cost:.3f} ")
    assert "40 sequences, 200 answers, R² 1.00 when whole" in found.finding
