"""Where no head holds, the prediction of a step is the model's own for the sequence up to it; a sample of sequences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnreport.analyses.sample import SampleParams, display_sample, hash_order
from rnnreport.capture import expected
from rnnreport.capture.prefixes import PREFIX_STEPS, prefix_sample
from rnnreport.capture.recorder import Recorder
from rnnreport.results.recorded import Checkpoint, Floats, Probe, Task

torch.set_num_threads(1)

D, H, K = 3, 6, 3
LENGTHS = (4, 7, 4, 1, 7, 2)


def make_probe(task: Task = "classification", lengths: tuple[int, ...] = LENGTHS) -> Probe:
    rng = np.random.default_rng(0)
    count = len(lengths)
    truths = {
        "multi-label": rng.integers(0, 2, (count, K)).astype(np.float32),
        "regression": rng.normal(size=(count, K)).astype(np.float32),
    }
    return Probe(
        task=task,
        sequence_ids=tuple(f"s{number}" for number in range(count)),
        lengths=np.array(lengths, np.int32),
        tokens=np.zeros(0, np.int32),
        values=rng.normal(size=(sum(lengths), D)).astype(np.float32),
        labels=rng.integers(0, K, count if task == "classification" else 0).astype(np.int32),
        targets=np.zeros(0, np.int32),
        truths=truths.get(task, np.zeros((0, 0), np.float32)),
        vocabulary=(),
        class_names=tuple(f"k{number}" for number in range(K)),
        feature_names=("x", "y", "z"),
        sampled_from=count,
    )


class Net(nn.Module):
    """A recurrent layer, a reading of its states (B, T, H), and a linear module."""

    def __init__(self, read: Callable[[Tensor], Tensor], cell: Any = nn.GRU, **options: Any) -> None:
        super().__init__()
        self.rnn = cell(D, H, batch_first=True, **options)
        self.read = read
        self.tail = nn.Linear(H * (2 if options.get("bidirectional") else 1), K)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.tail(self.read(self.rnn(inputs)[0]))  # type: ignore[no-any-return]


class Packed(Net):
    """Takes lengths, as models of padded batches do, and pools over them."""

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
        states = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0]
        return self.tail(states.sum(1) / lengths[:, None])  # type: ignore[no-any-return]


class TimeMajor(Net):
    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs.transpose(0, 1))


class Convolving(Net):
    """Looks at three steps at once, so that it cannot read fewer."""

    def __init__(self) -> None:
        super().__init__(lambda states: states.mean(1))
        self.convolution = nn.Conv1d(D, D, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        looked = self.convolution(inputs.transpose(1, 2)).sum(-1)
        return super().forward(inputs) + looked


class Halving(Net):
    """Joins pairs of steps, as pyramids do."""

    def __init__(self) -> None:
        super().__init__(lambda states: states.mean(1))

    def forward(self, inputs: Tensor) -> Tensor:
        pairs = inputs.reshape(len(inputs), -1, 2 * D).sum((1, 2))[:, None]
        return super().forward(inputs).add(pairs)


class Deviating(Net):
    """Pools the variance of the states over the steps, which one step does not have."""

    def __init__(self) -> None:
        super().__init__(lambda states: (states - states.mean(1, keepdim=True)).square().sum(1) / (states.shape[1] - 1))


class Scan(nn.Module):
    """A hand-written layer of both directions: the sum of what comes before and after a step."""

    def __init__(self) -> None:
        super().__init__()
        self.input = nn.Linear(D, H)

    def forward(self, inputs: Tensor) -> Tensor:
        steps = self.input(inputs)
        return (steps.cumsum(1) + steps.flip(1).cumsum(1).flip(1)).tanh()


class Scanning(nn.Module):
    """The head reads the last state, which is not the only one that knows the whole sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.scan, self.tail = Scan(), nn.Linear(H, K)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.tail(self.scan(inputs)[:, -1])  # type: ignore[no-any-return]


class Flattening(nn.Module):
    """Reads the states of all steps at once, and so sequences of one length only."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.rnn, self.tail = nn.GRU(D, H, batch_first=True), nn.Linear(steps * H, K)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.tail(self.rnn(inputs)[0].flatten(1))  # type: ignore[no-any-return]


def attention(states: Tensor) -> Tensor:
    return (states.sum(-1).softmax(1).unsqueeze(-1) * states).sum(1)


NETS: dict[str, Callable[[], nn.Module]] = {
    "both directions": lambda: Net(lambda states: states[:, -1], bidirectional=True),
    "both directions, LSTM of two layers": lambda: Net(attention, nn.LSTM, bidirectional=True, num_layers=2),
    "mean": lambda: Net(lambda states: states.mean(1)),
    "maximum": lambda: Net(lambda states: states.amax(1)),
    "attention": lambda: Net(attention),
    "packed": lambda: Packed(lambda states: states),
    "time first": lambda: TimeMajor(lambda states: states.mean(1)),
}
LINKS: dict[Task, Callable[[Tensor], Tensor]] = {
    "classification": lambda scores: scores.softmax(-1),
    "multi-label": torch.sigmoid,
    "regression": lambda scores: scores,
}


def prefix_by_prefix(model: nn.Module, probe: Probe, link: Callable[[Tensor], Tensor]) -> Floats:
    """The model called on every prefix alone, (S, K)."""
    model.eval()
    rows = []
    for values in np.split(probe.values, probe.offsets[1:-1]):
        for step in range(1, len(values) + 1):
            inputs = torch.from_numpy(values[None, :step])
            with torch.no_grad():
                if isinstance(model, Packed):
                    output = model(inputs, torch.tensor([step]))
                else:
                    output = model(inputs.transpose(0, 1) if isinstance(model, TimeMajor) else inputs)
            rows.append(link(output)[0].numpy())
    return np.array(rows)


def record(model: nn.Module, probe: Probe, folder: Path, **options: Any) -> tuple[Checkpoint, str]:
    recorder = Recorder(model, probe, folder, **options)
    return recorder.capture(0), recorder.head


@pytest.mark.parametrize("batch_size", [2, 256])
@pytest.mark.parametrize("task", LINKS)
@pytest.mark.parametrize("net", NETS)
def test_a_step_has_the_models_own_output_for_the_sequence_so_far(
    net: str, task: Task, batch_size: int, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model, probe = NETS[net](), make_probe(task)
    checkpoint, sentence = record(model, probe, tmp_path, batch_size=batch_size)
    np.testing.assert_allclose(checkpoint.step_output, prefix_by_prefix(model, probe, LINKS[task]), atol=1e-6)
    np.testing.assert_allclose(checkpoint.step_output[probe.offsets[1:] - 1], checkpoint.model_output, atol=1e-6)
    assert "every prefix of 6 of 6 sequences (exact, not the head applied to the state): " in sentence


def test_a_sample_of_whole_sequences_within_a_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model, probe = NETS["mean"](), make_probe()
    costs = probe.lengths * (probe.lengths + 1) // 2  # 10, 28, 10, 1, 28, 3
    order = hash_order(probe.sequence_ids)
    budget = int(costs[order[:3]].sum())
    np.testing.assert_array_equal(prefix_sample(probe, budget), np.sort(order[:3]))
    np.testing.assert_array_equal(prefix_sample(probe, budget + int(costs[order[3]]) - 1), np.sort(order[:3]))
    monkeypatch.setattr(expected, "prefix_sample", lambda probe: prefix_sample(probe, budget))
    checkpoint, sentence = record(model, probe, tmp_path)
    assert "every prefix of 3 of 6 sequences" in sentence
    sampled = np.isin(np.repeat(np.arange(6), probe.lengths), order[:3])
    assert np.isnan(checkpoint.step_output[~sampled]).all()
    whole = prefix_by_prefix(model, probe, LINKS["classification"])
    np.testing.assert_allclose(checkpoint.step_output[sampled], whole[sampled], atol=1e-6)
    assert np.isfinite(checkpoint.model_output).all()


def test_the_sample_begins_with_the_displayed_sequences() -> None:
    lengths = tuple(int(length) for length in np.random.default_rng(1).integers(40, 90, 120))
    probe = make_probe(lengths=lengths)
    sampled = prefix_sample(probe)
    assert 0 < len(sampled) < len(lengths)
    assert (sampled[1:] > sampled[:-1]).all()
    assert int((probe.lengths[sampled] * (probe.lengths[sampled] + 1) // 2).sum()) <= PREFIX_STEPS
    displayed = display_sample(probe, SampleParams(int(probe.lengths[sampled].sum()))).sequences
    np.testing.assert_array_equal(displayed, sampled)


def test_a_sequence_that_is_too_long_alone_is_left_out(tmp_path: Path) -> None:
    probe = make_probe(lengths=(3, 400, 5))
    np.testing.assert_array_equal(prefix_sample(probe), [0, 2])
    checkpoint, sentence = record(NETS["mean"](), make_probe(lengths=(400, 400)), tmp_path)
    assert checkpoint.step_output.shape == (0, 0)
    assert sentence.startswith("There is no expected prediction: the model predicts from the mean of its states")
    assert "would take more than 50,000 steps" in sentence


@pytest.mark.parametrize(
    ("net", "lengths", "refused", "complaint"),
    [
        (Convolving, (4, 7, 3), (1, 2), "prefixes of 1 to 2 steps, so 6 of the 14 steps of these sequences have no"),
        (Convolving, (3, 3), (1, 2), None),
        (Halving, (4, 6), (1, 3, 5), "prefixes of 3 lengths from 1 to 5 steps, so 5 of the 10 steps of these"),
        (Halving, (2, 4, 4), (1, 3), "prefixes of 2 lengths from 1 to 3 steps, so 5 of the 10 steps"),
        (Deviating, (4, 2), (1,), "no answer for prefixes of 1 step, so 2 of the 6 steps of these sequences have no"),
        (lambda: Flattening(7), (7, 7), tuple(range(1, 7)), None),
    ],
)
def test_prefixes_that_the_model_cannot_read_have_no_prediction(
    net: Any, lengths: tuple[int, ...], refused: tuple[int, ...], complaint: str | None, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model, probe = net(), make_probe(lengths=lengths)
    checkpoint, sentence = record(model, probe, tmp_path)
    if complaint is None:
        assert checkpoint.step_output.shape == (0, 0)
        assert sentence.endswith("; and the model gives no answer for a part of a sequence.")
        return
    steps = np.concatenate([np.arange(1, length + 1) for length in lengths])
    np.testing.assert_array_equal(np.isnan(checkpoint.step_output).any(axis=1), np.isin(steps, refused))
    np.testing.assert_allclose(checkpoint.step_output[probe.offsets[1:] - 1], checkpoint.model_output, atol=1e-6)
    assert complaint in sentence


def test_epochs_share_the_sample_and_leave_no_trace(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, probe = NETS["both directions"](), make_probe()
    model.train()
    before, generator = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    recorder = Recorder(model, probe, tmp_path)
    first, again = recorder.capture(0), recorder.capture(1)
    assert torch.equal(generator, torch.get_rng_state())
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    np.testing.assert_array_equal(first.step_output, again.step_output)
    with torch.no_grad():
        model.tail.bias += 1  # type: ignore[operator, union-attr]
        model.tail.weight *= 2  # type: ignore[operator, union-attr]
    later = recorder.capture(2)
    np.testing.assert_array_equal(np.isnan(first.step_output), np.isnan(later.step_output))
    np.testing.assert_allclose(later.step_output, prefix_by_prefix(model, probe, LINKS["classification"]), atol=1e-6)


def test_a_state_that_knows_what_follows_has_no_head(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, probe = Scanning(), make_probe()
    checkpoint, sentence = record(model, probe, tmp_path, layers=["scan"])
    assert sentence.endswith(
        "(exact, not the head applied to the state): the state of a step already knows what follows."
    )
    np.testing.assert_allclose(
        checkpoint.step_output, prefix_by_prefix(model, probe, LINKS["classification"]), atol=1e-6
    )


class Carrying(Net):
    """Keeps its last state for the next call, which must not reach the next prefix."""

    hidden: Tensor | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        states, self.hidden = self.rnn(inputs, self.hidden)
        return self.tail(states.mean(1))  # type: ignore[no-any-return]


def test_no_state_is_carried_from_prefix_to_prefix(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, probe = Carrying(lambda states: states), make_probe()
    checkpoint, _ = record(model, probe, tmp_path)
    plain = Net(lambda states: states.mean(1))
    plain.load_state_dict(model.state_dict())
    np.testing.assert_allclose(
        checkpoint.step_output, prefix_by_prefix(plain, probe, LINKS["classification"]), atol=1e-6
    )


class Companions(Net):
    """What it says depends on the number of sequences in the batch."""

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs) + len(inputs)


def test_prefixes_that_do_not_end_in_the_models_output_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    model, probe = Companions(lambda states: states.mean(1)), make_probe("regression", (10, 11, 4))
    checkpoint, _ = record(model, probe, tmp_path)
    assert np.isnan(checkpoint.step_output).all()
    assert "epoch 0: the prefix of all steps no longer gives the model's own output" in capsys.readouterr().err
