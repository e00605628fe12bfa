"""Several labels at once, quantities of a sequence and of its steps: recorded as the model gives them, and scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, root_mean_squared_error
from torch import Tensor, nn

from rnnreport.capture.probe import make_probe
from rnnreport.capture.recorder import Recorder
from rnnreport.capture.run import capture_run
from rnnreport.capture.scores import evaluate
from rnnreport.errors import InputError
from rnnreport.load.corpus import Corpus
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Checkpoint, Floats, Probe, Task

torch.set_num_threads(1)

D, H = 3, 6
LENGTHS = (4, 7, 4, 1, 7, 2)


def corpus(task: Task, outputs: int = 3) -> Corpus:
    rng = np.random.default_rng(0)
    if task == "multi-label":
        truths = [rng.integers(0, 2, outputs).astype(np.float32) for _ in LENGTHS]
    else:
        shapes = [(length, outputs) if task == "step-regression" else (outputs,) for length in LENGTHS]
        truths = [rng.normal(50, 20, shape).astype(np.float32) for shape in shapes]
    if task == "step-regression":
        truths[1][2:5] = np.nan
    return Corpus(
        name="series",
        task=task,
        sequence_ids=tuple(f"s{number}" for number in range(len(LENGTHS))),
        inputs=tuple(rng.normal(size=(length, D)).astype(np.float32) for length in LENGTHS),
        labels=np.zeros(0, np.int32),
        step_targets=(),
        vocabulary=(),
        class_names=tuple(f"k{number}" for number in range(outputs)),
        feature_names=("x", "y", "z"),
        skipped={},
        unknown_tokens=0,
        sha256="",
        truths=tuple(truths),
    )


class Net(nn.Module):
    """A GRU and a linear module over its last state or, ``steps``, over all; then ``link``, which may be a module."""

    def __init__(self, outputs: int, link: Any = None, steps: bool = False, batch_first: bool = True) -> None:
        super().__init__()
        self.rnn = nn.GRU(D, H, batch_first=batch_first)
        self.tail = nn.Linear(H, outputs)
        self.link = link
        self.steps = steps

    def forward(self, inputs: Tensor) -> Tensor:
        states = self.rnn(inputs)[0]
        output: Tensor = self.tail(states if self.steps else states[:, -1])
        return output if self.link is None else self.link(output)


def scores(model: Net, probe: Probe) -> tuple[Floats, Floats]:
    """What the linear module gives for the last state of each sequence alone, (N, K), and for all states, (S, K)."""
    model.eval()
    steps = []
    with torch.no_grad():
        for values in np.split(probe.values, probe.offsets[1:-1]):
            inputs = torch.from_numpy(values)
            steps.append(model.tail(model.rnn(inputs)[0]).numpy())
    return np.stack([rows[-1] for rows in steps]), np.concatenate(steps)


def record(model: nn.Module, probe: Probe, folder: Path, **options: Any) -> tuple[Checkpoint, str]:
    recorder = Recorder(model, probe, folder, **options)
    return recorder.capture(0), recorder.head


def logistic(values: Floats) -> Floats:
    return (1 / (1 + np.exp(-values.astype(np.float64)))).astype(np.float32)


LABEL_LINKS: dict[str, Any] = {"logits": None, "function": torch.sigmoid, "module": nn.Sigmoid()}


@pytest.mark.parametrize("outputs", [1, 2, 3])
@pytest.mark.parametrize("link", LABEL_LINKS)
def test_labels_have_a_probability_each(link: str, outputs: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, probe = Net(outputs, LABEL_LINKS[link]), make_probe(corpus("multi-label", outputs))
    checkpoint, sentence = record(model, probe, tmp_path)
    last, steps = scores(model, probe)
    np.testing.assert_allclose(checkpoint.model_output, logistic(last), atol=1e-6)
    np.testing.assert_allclose(checkpoint.step_output, logistic(steps), atol=1e-6)
    assert "“tail”" in sentence and "all 6 sequences" in sentence


def test_logits_of_labels_that_all_lie_between_0_and_1_are_still_logits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, probe = Net(2), make_probe(corpus("multi-label", 2))
    with torch.no_grad():
        model.tail.weight *= 0.01
        model.tail.bias.fill_(0.5)
    checkpoint, _ = record(model, probe, tmp_path)
    np.testing.assert_allclose(checkpoint.model_output, logistic(scores(model, probe)[0]), atol=1e-6)


SHAPES: dict[str, tuple[int, Callable[[Tensor], Tensor] | None]] = {
    "(B,)": (1, lambda output: output.squeeze(1)),
    "(B, 1)": (1, None),
    "(B, K)": (3, None),
    "(1, B, K)": (3, lambda output: output.unsqueeze(0)),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_quantities_of_a_sequence_are_recorded_as_they_are(shape: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    outputs, link = SHAPES[shape]
    model, probe = Net(outputs, link), make_probe(corpus("regression", outputs))
    checkpoint, sentence = record(model, probe, tmp_path)
    last, steps = scores(model, probe)
    np.testing.assert_allclose(checkpoint.model_output, last, atol=1e-6)
    np.testing.assert_allclose(checkpoint.step_output, steps, atol=1e-6)
    assert "“tail”" in sentence and "of the largest output)." in sentence


STEP_SHAPES: dict[str, tuple[int, bool, Callable[[Tensor], Tensor] | None]] = {
    "(B, T, K)": (3, True, None),
    "(T, B, K)": (3, False, None),
    "(B * T, K)": (3, True, lambda output: output.flatten(0, 1)),
    "(T * B, K)": (3, False, lambda output: output.flatten(0, 1)),
    "(B, T)": (1, True, lambda output: output.squeeze(2)),
    "(T, B)": (1, False, lambda output: output.squeeze(2)),
    "(B * T,)": (1, True, lambda output: output.flatten()),
}


@pytest.mark.parametrize("shape", STEP_SHAPES)
def test_quantities_of_steps_in_every_arrangement(shape: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    outputs, batch_first, link = STEP_SHAPES[shape]
    model, probe = Net(outputs, link, True, batch_first), make_probe(corpus("step-regression", outputs))
    checkpoint, sentence = record(model, probe, tmp_path)
    np.testing.assert_allclose(checkpoint.step_output, scores(model, probe)[1], atol=1e-6)
    assert checkpoint.model_output.shape == (0, 0)
    assert sentence == "The prediction of each step is the model's own output at that step."


def test_a_small_quantity_does_not_make_a_head_of_anything(tmp_path: Path) -> None:
    """An error of 1e-7 is large where all outputs are of that size."""

    class Mean(Net):
        def forward(self, inputs: Tensor) -> Tensor:
            return self.tail(self.rnn(inputs)[0].mean(1))  # type: ignore[no-any-return]

    torch.manual_seed(0)
    model, probe = Mean(2), make_probe(corpus("regression", 2))
    with torch.no_grad():
        model.tail.weight *= 1e-7
        model.tail.bias.zero_()
    _, sentence = record(model, probe, tmp_path)
    assert "the model predicts from the mean of its states" in sentence


@pytest.mark.parametrize(
    ("task", "outputs", "complaint"),
    [
        ("multi-label", 5, "the model has 5 outputs, the corpus 3 labels (k0, k1, k2) (give all labels in the model's"),
        ("multi-label", 1, "the model has 1 outputs, the corpus 3 labels"),
        (
            "regression",
            2,
            "the model has 2 outputs, the corpus 3 quantities (k0, k1, k2) (give a target for each",
        ),
        ("step-regression", 1, "the model has 1 outputs, the corpus 3 quantities"),
    ],
)
def test_another_number_of_outputs_is_refused_with_both_numbers(
    task: Task, outputs: int, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        record(Net(outputs, steps=task == "step-regression"), make_probe(corpus(task)), tmp_path)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("task", ["multi-label", "regression"])
def test_two_outputs_are_not_one_for_labels_and_quantities(task: Task, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the model has 1 outputs, the corpus 2"):
        record(Net(1), make_probe(corpus(task, 2)), tmp_path)


def test_one_answer_per_sequence_is_needed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a prediction for every sequence is needed"):
        record(Net(3, steps=True), make_probe(corpus("regression")), tmp_path)
    with pytest.raises(InputError, match="a prediction for every step is needed"):
        record(Net(3), make_probe(corpus("step-regression")), tmp_path)


def test_a_head_that_nothing_needs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a head is given, but the model itself answers at each step \(leave out"):
        record(Net(3, steps=True), make_probe(corpus("step-regression")), tmp_path, head="tail")
    unlabelled = replace(make_probe(corpus("regression")), task="unlabelled", class_names=())
    with pytest.raises(InputError, match="a head is given, but the corpus has no labels"):
        record(Net(3), unlabelled, tmp_path, head="tail")


def test_labels_are_scored_as_scikit_learn_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, probe = Net(3), make_probe(corpus("multi-label"))
    with torch.no_grad():
        model.tail.weight *= 5
    checkpoint, _ = record(model, probe, tmp_path)
    right = checkpoint.model_output >= 0.5
    probe = replace(probe, truths=np.where(np.arange(6)[:, None] < 2, right, probe.truths).astype(np.float32))
    measured = evaluate(checkpoint, probe)
    assert measured["exact_match"] == accuracy_score(probe.truths, right) >= 2 / 6
    each = [log_loss(probe.truths[:, k], checkpoint.model_output[:, k], labels=[0, 1]) for k in range(3)]
    assert measured["cross_entropy"] == pytest.approx(np.mean(each))
    damaged = replace(checkpoint, model_output=np.full_like(checkpoint.model_output, np.nan))
    assert evaluate(damaged, replace(probe, truths=np.zeros_like(probe.truths)))["exact_match"] == 0


@pytest.mark.parametrize("task", ["regression", "step-regression"])
def test_quantities_are_scored_as_scikit_learn_does(task: Task, tmp_path: Path) -> None:
    torch.manual_seed(0)
    probe = make_probe(corpus(task))
    checkpoint, _ = record(Net(3, steps=task == "step-regression"), probe, tmp_path)
    output = checkpoint.model_output if task == "regression" else checkpoint.step_output
    known = ~np.isnan(probe.truths)
    assert known.all() == (task == "regression")
    measured = evaluate(checkpoint, probe)
    assert measured["rmse"] == pytest.approx(root_mean_squared_error(probe.truths[known], output[known]))
    assert measured["mae"] == pytest.approx(mean_absolute_error(probe.truths[known], output[known]))
    assert evaluate(checkpoint, replace(probe, truths=np.full_like(probe.truths, np.nan))) == {}


@pytest.mark.parametrize(
    ("task", "names"), [("multi-label", {"exact_match", "cross_entropy"}), ("regression", {"rmse", "mae"})]
)
def test_a_run_folder_of_the_new_tasks(task: Task, names: set[str], tmp_path: Path) -> None:
    torch.manual_seed(0)
    folder = RunFolder(tmp_path / "run")
    capture_run(Net(3), corpus(task), folder, name="run", source="here:Net", weights=None)
    assert folder.manifest().task == task
    np.testing.assert_array_equal(folder.probe().truths, np.stack(corpus(task).truths))
    assert folder.metrics()[0].keys() == names | {"epoch", "wall_s"}
    assert folder.checkpoint(0).model_output.shape == (6, 3)
