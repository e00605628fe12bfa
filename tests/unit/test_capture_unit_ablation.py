"""Units held inside the recurrence, against nets whose important unit is known and against running cells by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnreport.analyses.importance import ImportanceParams, rank_units
from rnnreport.capture.probe import make_probe
from rnnreport.capture.recorder import Recorder
from rnnreport.capture.unit_ablation import UnitAblationParams, curve_sizes, read_unit_ablation
from rnnreport.load.corpus import Corpus
from rnnreport.results.causes import UnitAblation
from rnnreport.results.recorded import Checkpoint, Probe, Task

torch.set_num_threads(1)

D, H, K = 3, 5, 3


def probe_of(task: Task = "classification", sequences: int = 20, lengths: tuple[int, ...] = (4, 7, 4, 6)) -> Probe:
    rng = np.random.default_rng(3)
    sizes = [lengths[place % len(lengths)] for place in range(sequences)]
    tokens = task in ("language-model", "tagging")
    inputs: tuple[Any, ...] = tuple(
        rng.integers(0, K, size).astype(np.int32) if tokens else rng.normal(size=(size, D)).astype(np.float32)
        for size in sizes
    )
    truths: list[Any] = []
    if task == "multi-label":
        truths = [rng.integers(0, 2, K).astype(np.float32) for _ in sizes]
    elif task == "regression":
        truths = [rng.normal(5, 2, K).astype(np.float32) for _ in sizes]
    elif task == "step-regression":
        truths = [rng.normal(5, 2, (size, K)).astype(np.float32) for size in sizes]
        truths[0][0] = np.nan
    labels = rng.integers(0, K, sequences) if task == "classification" else np.zeros(0)
    return make_probe(
        Corpus(
            name="drawn",
            task=task,
            sequence_ids=tuple(f"s{number}" for number in range(sequences)),
            inputs=inputs,
            labels=labels.astype(np.int32),
            step_targets=tuple(rng.integers(0, K, size).astype(np.int32) for size in sizes)
            if task == "tagging"
            else (),
            vocabulary=tuple("abc") if tokens else (),
            class_names=() if task == "language-model" else tuple("xyz"),
            feature_names=() if tokens else ("x", "y", "z"),
            skipped={},
            unknown_tokens=0,
            sha256="",
            truths=tuple(truths),
        )
    )


class Net(nn.Module):
    """A recurrent layer, or a loop over a cell, and a linear head on its last state or on all of them."""

    def __init__(
        self, kind: str = "LSTM", *, steps: bool = False, tokens: bool = False, pack: bool = False, **options: Any
    ):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(K, D) if tokens else nn.Identity()
        self.rnn = getattr(nn, kind)(D, H, **options)
        self.sides = 2 if options.get("bidirectional") else 1
        self.head = nn.Linear((options.get("proj_size") or H) * self.sides, K)
        self.steps, self.pack = steps, pack

    def forward(self, inputs: Tensor) -> Tensor:
        values = self.embedding(inputs).transpose(0, 1)
        if isinstance(self.rnn, nn.RNNCellBase):
            state, found = None, []
            for value in values:
                state = self.rnn(value, state)
                found.append(state[0] if isinstance(state, tuple) else state)
            states = torch.stack(found)
        elif self.pack:
            lengths = torch.full((values.shape[1],), values.shape[0])
            states = pad_packed_sequence(self.rnn(pack_padded_sequence(values, lengths, enforce_sorted=False))[0])[0]
        else:
            states = self.rnn(values)[0]
        return self.head(states.transpose(0, 1) if self.steps else states[-1])


def read(model: nn.Module, probe: Probe, path: Path, **params: Any) -> tuple[UnitAblation, Checkpoint]:
    recorder = Recorder(model.eval(), probe, path / "run")
    checkpoint = recorder.capture(1)
    found = read_unit_ablation(model, probe, recorder.inspection, checkpoint, UnitAblationParams(**params))
    return found, checkpoint


def of_kind(found: UnitAblation, kind: str, values: Any = None) -> Any:
    return (found.loss if values is None else values)[np.array(found.kinds) == kind]


KINDS: dict[str, dict[str, Any]] = {
    "RNN": {},
    "RNN relu": {"nonlinearity": "relu"},
    "GRU": {},
    "LSTM": {},
    "LSTM packed": {"pack": True},
    "LSTM projected": {"proj_size": 2},
    "GRU deep, both directions": {"num_layers": 2, "bidirectional": True},
    "GRUCell": {},
    "LSTMCell": {},
}


@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
@pytest.mark.parametrize("name", KINDS)
def test_a_unit_without_outgoing_weights_changes_nothing_and_all_units_give_a_constant(
    name: str, tmp_path: Path
) -> None:
    """Statement B8, for every kind of layer: weights from unit 2 to the gates, the layer above and the head are 0."""
    model = Net(name.split()[0].rstrip(","), **KINDS[name])
    with torch.no_grad():
        for each, values in model.named_parameters():
            if "weight_hh" in each or each == "head.weight":
                values[:, 1] = 0  # of every layer and direction; the head reads the forward side first
            if "weight_ih_l1" in each:
                values[:, 1] = 0
    probe = probe_of()
    found, checkpoint = read(model, probe, tmp_path)
    assert found.reason == ""
    plain = of_kind(found, "none")[0]
    labels = probe.labels[found.sequences]
    own = -np.log(checkpoint.model_output[found.sequences, labels])
    np.testing.assert_allclose(plain, own, atol=2e-6)
    idle = [
        place
        for place in range(found.unit.size)
        if found.unit[place] == 1 and ".fwd." in found.scopes[found.scope[place]]
    ]
    assert idle
    for place in idle:
        np.testing.assert_allclose(of_kind(found, "unit")[place], plain, atol=1e-6)
    moves = np.concatenate([checkpoint.states[key].std(axis=0) > 0 for key in found.scopes])
    others = [place for place in range(found.unit.size) if place not in idle and moves[place]]
    assert np.abs(of_kind(found, "unit")[others] - plain).max(axis=1).min() > 1e-4
    # all units at their mean: the head sees the same whatever the input
    keys = [key for key in checkpoint.states if key.endswith(".h")]
    last = [key for key in keys if key.split(".")[-3] == max(key.split(".")[-3] for key in keys)]
    means = np.concatenate([checkpoint.states[key].mean(axis=0) for key in sorted(last)])
    with torch.no_grad():
        constant = torch.log_softmax(model.head(torch.from_numpy(means)), 0).numpy()
    np.testing.assert_allclose(of_kind(found, "all")[0], -constant[labels], atol=1e-5)
    np.testing.assert_allclose(of_kind(found, "most")[-1][10:], -constant[labels][10:], atol=1e-5)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_holding_is_what_a_loop_over_cells_by_hand_gives(kind: str, tmp_path: Path) -> None:
    model, probe = Net(kind), probe_of()
    found, checkpoint = read(model, probe, tmp_path)
    cell = getattr(nn, f"{kind}Cell")(D, H)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in model.rnn.state_dict().items()})
    mean = torch.from_numpy(checkpoint.states["rnn.0.fwd.h"].mean(axis=0))
    for place, sequence in enumerate(found.sequences[:4]):
        values = torch.from_numpy(probe.values[probe.offsets[sequence] : probe.offsets[sequence + 1]])
        for unit in range(H):
            h, c = torch.zeros(1, H), torch.zeros(1, H)
            with torch.no_grad():
                for value in values:
                    h, c = cell(value[None], (h, c)) if kind == "LSTM" else (cell(value[None], h), c)
                    h[0, unit] = mean[unit]
                loss = -torch.log_softmax(model.head(h), 1)[0, probe.labels[sequence]]
            assert of_kind(found, "unit")[unit][place] == pytest.approx(float(loss), abs=2e-6)


@pytest.mark.parametrize(
    ("task", "steps"),
    [
        ("classification", False),
        ("multi-label", False),
        ("regression", False),
        ("tagging", True),
        ("language-model", True),
        ("step-regression", True),
    ],
)
def test_every_task_is_scored_as_it_says(task: Task, steps: bool, tmp_path: Path) -> None:
    """Losses and right answers of the free run, from the recorded predictions."""
    probe = probe_of(task)
    model = Net("GRU", steps=steps, tokens=task in ("tagging", "language-model"))
    found, checkpoint = read(model, probe, tmp_path)
    assert found.reason == ""
    loss, right = of_kind(found, "none")[0], of_kind(found, "none", found.right)[0]
    for place, sequence in enumerate(found.sequences):
        rows = slice(probe.offsets[sequence], probe.offsets[sequence + 1])
        items = 1
        if task == "classification":
            expected = -np.log(checkpoint.model_output[sequence, probe.labels[sequence]])
            correct = float(checkpoint.model_output[sequence].argmax() == probe.labels[sequence])
        elif task == "multi-label":
            chances = checkpoint.model_output[sequence]
            of_truth = np.where(probe.truths[sequence] > 0.5, chances, 1 - chances)
            expected, correct = -np.log(of_truth).mean(), float((of_truth >= 0.5).all())
        elif task == "regression":
            expected = (
                (checkpoint.model_output[sequence] - probe.truths[sequence]) ** 2 / probe.truths.var(axis=0)
            ).mean()
            correct = 0.0
        elif task == "step-regression":
            error = (checkpoint.step_output[rows] - probe.truths[rows]) ** 2 / np.nanvar(probe.truths, axis=0)
            expected, correct = np.mean(error, axis=1)[np.isfinite(error[:, 0])].sum(), 0.0
            items = int(np.isfinite(error).any(axis=1).sum())
        elif task == "tagging":
            targets = probe.targets[rows]
            chances = checkpoint.step_output[rows]
            expected = -np.log(chances[np.arange(len(targets)), targets]).sum()
            correct, items = float((chances.argmax(axis=1) == targets).sum()), len(targets)
        else:
            expected = np.nansum(checkpoint.surprisal[rows])
            known = probe.targets[rows] >= 0
            correct = float((checkpoint.top_tokens[rows][known, 0] == probe.targets[rows][known]).sum())
            items = int(known.sum())
        assert loss[place] == pytest.approx(expected, rel=1e-4, abs=1e-5)
        assert right[place] == correct
        assert found.items[place] == items
    assert (of_kind(found, "all")[0] != loss).any()


class Planted(nn.Module):
    """Unit 0 adds up the first channel, the others move but only unit 0 is read: the sign is the class."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(D, H, nonlinearity="relu", batch_first=True)
        self.head = nn.Linear(H, 2)
        torch.manual_seed(1)
        with torch.no_grad():
            for name, values in self.named_parameters():
                values.zero_()
                if name == "rnn.weight_ih_l0":
                    values[1:] = torch.rand(H - 1, D)
            self.rnn.weight_ih_l0[0, 0] = 1.0
            self.rnn.weight_hh_l0[0, 0] = 1.0
            self.rnn.bias_ih_l0[0] = 2.0
            self.head.weight[1, 0], self.head.bias[1] = 4.0, -4.0 * 2.0 * 5

    def forward(self, values: Tensor) -> Tensor:
        return self.head(self.rnn(values)[0][:, -1])


def planted_probe() -> Probe:
    """Sequences of five steps whose class is the sign of the sum of the first channel, within -0.4 and 0.4 a step."""
    rng = np.random.default_rng(0)
    inputs = tuple(rng.uniform(-0.4, 0.4, (5, D)).astype(np.float32) for _ in range(60))
    return make_probe(
        Corpus(
            name="sums",
            task="classification",
            sequence_ids=tuple(f"s{number}" for number in range(60)),
            inputs=inputs,
            labels=np.array([int(values[:, 0].sum() > 0) for values in inputs], np.int32),
            step_targets=(),
            vocabulary=(),
            class_names=("below", "above"),
            feature_names=("x", "y", "z"),
            skipped={},
            unknown_tokens=0,
            sha256="",
        )
    )


def test_the_one_unit_that_adds_up_carries_everything(tmp_path: Path) -> None:
    found, _ = read(Planted(), planted_probe(), tmp_path)
    result = rank_units(found, "classification", ImportanceParams())
    assert result.whole[0] == 1.0
    assert result.enough.tolist() == [1, 1, 1]
    assert result.needed.tolist() == [1, 1, 1]
    assert result.p_values[0] < 0.001
    assert np.abs(result.rise[1:]).max() < 1e-6
    assert result.most[:, 0].max() == result.constant[0] < 0.75
    assert (result.least[:-1, 0] == 1).all()
    assert result.finding.startswith("1 of 5 units (95% interval 1 to 1) keep 90%")
    np.testing.assert_allclose(result.readout, [4, 0, 0, 0, 0])
    assert result.agreement[3] == H
    assert result.lost[0] > 0.2


def test_groups_take_the_place_of_single_units_where_the_budget_is_small(tmp_path: Path) -> None:
    model, probe = Planted(), planted_probe()
    with torch.no_grad():  # three units that move together and one that mirrors them
        model.rnn.weight_ih_l0[2:4] = model.rnn.weight_ih_l0[1]
    weights = sum(parameter.numel() for parameter in model.parameters())
    sizes = len(curve_sizes(H, 3))
    runs = sizes * 3 + 4
    found, _ = read(
        model,
        probe,
        tmp_path,
        sizes=3,
        orders=1,
        fewest=20,
        fewest_groups=2,
        multiplications=float(weights * 20 * 5 * (runs + 0.5)),
    )
    assert found.reason == ""
    assert found.groups.tolist() == [0, 1, 1, 1, 1]
    assert found.sequences.size == 20
    singles = found.members[np.array(found.kinds) == "unit"]
    assert 0 in singles and singles.size == 2
    result = rank_units(found, "classification", ImportanceParams())
    assert result.parts == "groups"
    assert result.needed[0] == 1  # the first of the order is the one that adds up
    assert result.rise[0, 0] > 0.5 > 1e-6 > abs(result.rise[1, 0])


def test_a_model_too_large_or_without_answers_or_recurrence_says_so(tmp_path: Path) -> None:
    assert "so large" in read(Net("GRU"), probe_of(), tmp_path, multiplications=1e3)[0].reason
    assert "budget was quick" in read(Net("GRU"), probe_of(), tmp_path, multiplications=0)[0].reason
    long = read(Net("GRU"), probe_of(), tmp_path, steps=3)[0]
    assert long.reason == "every sequence has more than 3 steps"


class Custom(nn.Module):
    """No recurrent layer of torch's: the running mean of a linear module."""

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.held, self.head = nn.Linear(D, H), nn.Identity(), nn.Linear(H, K)

    def forward(self, values: Tensor) -> Tensor:
        states = self.held(torch.tanh(self.mix(values)).cumsum(dim=1))
        return self.head(states[:, -1])


def test_states_of_other_modules_cannot_be_held(tmp_path: Path) -> None:
    model, probe = Custom().eval(), probe_of()
    recorder = Recorder(model, probe, tmp_path / "run", layers=["held"])
    found = read_unit_ablation(model, probe, recorder.inspection, recorder.capture(0))
    assert "no recurrent layer of torch's" in found.reason


def test_the_model_is_left_as_it_was_and_the_result_repeats(tmp_path: Path) -> None:
    model, probe = Net("LSTM").train(), probe_of()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, second = (read_again(model, probe, tmp_path / str(number)) for number in range(2))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    np.testing.assert_array_equal(first.loss, second.loss)


def read_again(model: nn.Module, probe: Probe, path: Path) -> UnitAblation:
    recorder = Recorder(model, probe, path)
    return read_unit_ablation(model, probe, recorder.inspection, recorder.capture(0))


def test_small_batches_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, probe = Net("LSTM", steps=True, tokens=True).eval(), probe_of("language-model", 8)
    whole, _ = read(model, probe, tmp_path / "whole")
    monkeypatch.setattr("rnnreport.capture.held.step_budget", lambda probe: 10)
    parts, _ = read(model, probe, tmp_path / "parts")
    np.testing.assert_allclose(parts.loss, whole.loss, atol=1e-5)
    np.testing.assert_array_equal(parts.right, whole.right)
