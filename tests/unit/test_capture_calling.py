"""How batches reach models of different habits, and how outputs are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnreport.capture.batches import equal_length_batches, make_batch, trial_batch
from rnnreport.capture.calling import Convention, find_convention, first_tensor, observe
from rnnreport.capture.outputs import OutputReader, find_layout, form_of
from rnnreport.capture.recorder import Recorder
from rnnreport.errors import InputError
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Probe, Task

torch.set_num_threads(1)

V, K, H = 11, 4, 6


def make_token_probe(lengths: list[int], task: Task = "tagging", seed: int = 0) -> Probe:
    rng = np.random.default_rng(seed)
    steps = sum(lengths)
    per_step = task in ("tagging", "language-model")
    return Probe(
        task=task,
        sequence_ids=tuple(f"s{number}" for number in range(len(lengths))),
        lengths=np.array(lengths, np.int32),
        tokens=rng.integers(0, V, steps).astype(np.int32),
        values=np.zeros((0, 0), np.float32),
        labels=rng.integers(0, K, 0 if per_step else len(lengths)).astype(np.int32),
        targets=rng.integers(0, K, steps if per_step else 0).astype(np.int32),
        truths=np.zeros((0, 0), np.float32),
        vocabulary=tuple(f"w{number}" for number in range(V)),
        class_names=() if task == "language-model" else tuple(f"k{number}" for number in range(K)),
        feature_names=(),
        sampled_from=len(lengths),
    )


class Tagger(nn.Module):
    """A GRU tagger; the subclasses have the same parameters and other habits."""

    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.emb = nn.Embedding(V, 5)
        self.rnn = nn.GRU(5, H, batch_first=batch_first)
        self.fc = nn.Linear(H, K)

    def forward(self, inputs: Tensor) -> Any:
        return self.fc(self.rnn(self.emb(inputs))[0])


class TimeMajor(Tagger):
    def __init__(self) -> None:
        super().__init__(batch_first=False)


class TimeMajorFlat(TimeMajor):
    def forward(self, inputs: Tensor) -> Any:
        return super().forward(inputs).flatten(0, 1)


class BatchFirstFlat(Tagger):
    def forward(self, inputs: Tensor) -> Any:
        return {"loss": None, "logits": super().forward(inputs).flatten(0, 1)}


class TransposesInside(TimeMajor):
    """Takes (B, T) and gives (T * B, K)."""

    def forward(self, inputs: Tensor) -> Any:
        return super().forward(inputs.t()).flatten(0, 1), None


class Packed(Tagger):
    def forward(self, inputs: Tensor, mask: Tensor | None = None, *, lengths: Tensor) -> Any:
        assert lengths.dtype == torch.int64 and lengths.device.type == "cpu"
        packed = pack_padded_sequence(self.emb(inputs), lengths, batch_first=True, enforce_sorted=False)
        return self.fc(pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0])


class Dispatched(Tagger):
    """Calls ``forward``, past all hooks."""

    def forward(self, inputs: Tensor) -> Any:
        return self.fc.forward(self.rnn.forward(self.emb.forward(inputs))[0])


class Stepping(Tagger):
    """Calls the recurrent layer once per token, as generators of text do."""

    def forward(self, inputs: Tensor) -> Any:
        hidden, scores = None, []
        for token in inputs.split(1, dim=1):
            output, hidden = self.rnn(self.emb(token), hidden)
            scores.append(self.fc(output))
        return torch.cat(scores, 1)


class Lightning(nn.Module):
    """A wrapper with the net as an attribute and habits of its own, as LightningModules are."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.history: list[float] = []

    def forward(self, *inputs: Tensor) -> Any:
        return self.net(*inputs)


class PackedTimeMajor(TimeMajor):
    def forward(self, inputs: Tensor, seq_lens: Tensor) -> Any:
        packed = pack_padded_sequence(self.emb(inputs), seq_lens)
        return self.fc(pad_packed_sequence(self.rnn(packed)[0])[0])


class Carrying(Tagger):
    """Keeps its state for the next batch, as language models do."""

    hidden: Tensor | None = None

    def forward(self, inputs: Tensor) -> Any:
        output, self.hidden = self.rnn(self.emb(inputs), self.hidden)
        return self.fc(output)


HABITS = [
    Carrying,
    Dispatched,
    Stepping,
    TimeMajor,
    TimeMajorFlat,
    BatchFirstFlat,
    TransposesInside,
    Packed,
    PackedTimeMajor,
]


@pytest.mark.parametrize("habit", HABITS)
@pytest.mark.parametrize("lengths", [[3, 5, 3, 9, 1, 3, 3], [7], [4, 4, 4, 4]])
def test_every_habit_gives_what_a_plain_model_gives_alone(
    habit: type[Tagger], lengths: list[int], tmp_path: Path
) -> None:
    torch.manual_seed(1)
    plain = Tagger().eval()
    model = habit()
    model.load_state_dict(plain.state_dict())
    probe = make_token_probe(lengths)
    checkpoint = Recorder(model, probe, RunFolder(tmp_path), batch_size=3).capture(0)
    states, outputs = [], []
    with torch.no_grad():
        for sequence in np.split(probe.tokens, probe.offsets[1:-1]):
            embedded = plain.emb(torch.from_numpy(sequence.astype(np.int64))[None])
            states.append(plain.rnn(embedded)[0][0])
            outputs.append(plain.fc(states[-1]).softmax(-1))
    np.testing.assert_allclose(checkpoint.states["rnn.0.fwd.h"], torch.cat(states).numpy(), atol=1e-6)
    np.testing.assert_allclose(checkpoint.step_output, torch.cat(outputs).numpy(), atol=1e-6)


WRAPPERS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "compile": lambda model: cast(nn.Module, torch.compile(model)),
    "parallel": nn.DataParallel,
    "both": lambda model: nn.DataParallel(cast(nn.Module, torch.compile(model))),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrapped_models_are_recorded_as_what_they_wrap(wrapper: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    model, probe = Tagger(), make_token_probe([3, 5, 3])
    plain = Recorder(model, probe, RunFolder(tmp_path)).capture(0)
    wrapped = Recorder(WRAPPERS[wrapper](model), probe, RunFolder(tmp_path)).capture(0)
    assert list(plain.states) == list(wrapped.states) == ["rnn.0.fwd.h"]
    np.testing.assert_array_equal(plain.states["rnn.0.fwd.h"], wrapped.states["rnn.0.fwd.h"])
    np.testing.assert_array_equal(plain.step_output, wrapped.step_output)


def test_a_compiled_part_runs_as_python(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model, probe = Tagger(), make_token_probe([3, 5, 3])
    plain = Recorder(model, probe, RunFolder(tmp_path)).capture(0)
    model.rnn = torch.compile(model.rnn)  # type: ignore[assignment]
    model.fc.compile()
    compiled = Recorder(model, probe, RunFolder(tmp_path)).capture(0)
    assert list(compiled.states) == ["rnn.0.fwd.h"]
    np.testing.assert_array_equal(plain.states["rnn.0.fwd.h"], compiled.states["rnn.0.fwd.h"])


def test_a_module_around_the_net_is_called_like_any_other(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model, probe = Tagger(), make_token_probe([3, 5, 3])
    plain = Recorder(model, probe, RunFolder(tmp_path)).capture(0)
    around = Recorder(Lightning(model), probe, RunFolder(tmp_path)).capture(0)
    np.testing.assert_array_equal(plain.states["rnn.0.fwd.h"], around.states["net.rnn.0.fwd.h"])


def several_devices(parallel: nn.DataParallel[nn.Module]) -> nn.Module:
    parallel.device_ids = [0, 1]
    return parallel


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (torch.jit.script, "rnn in the model is compiled by TorchScript"),
        (
            lambda rnn: torch.ao.nn.quantized.dynamic.GRU(5, H, batch_first=True),
            "rnn in the model is a quantised GRU, whose operations hide its states",
        ),
        (
            lambda rnn: several_devices(nn.DataParallel(rnn)),
            "rnn in the model is copied to several devices by DataParallel",
        ),
        (
            lambda rnn: type("FullyShardedDataParallel", (nn.Identity,), {})(),
            "rnn in the model (FullyShardedDataParallel) has weights that are spread over several processes",
        ),
    ],
)
def test_models_that_hide_their_states_are_refused(change: Any, complaint: str, tmp_path: Path) -> None:
    model = Tagger()
    model.rnn = change(model.rnn)
    with pytest.raises(InputError) as caught:
        Recorder(model, make_token_probe([3]), tmp_path)
    assert complaint in str(caught.value)


def test_a_distributed_model_is_recorded_without_the_others(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model, probe = Tagger(), make_token_probe([3, 5, 3])
    plain = Recorder(model, probe, tmp_path).capture(0)
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        parallel = Recorder(nn.parallel.DistributedDataParallel(model), probe, tmp_path).capture(0)
    finally:
        torch.distributed.destroy_process_group()
    np.testing.assert_array_equal(plain.states["rnn.0.fwd.h"], parallel.states["rnn.0.fwd.h"])


def test_batches_hold_one_length_and_every_sequence_once() -> None:
    probe = make_token_probe([3, 5, 3, 3, 1, 5, 3])
    batches = equal_length_batches(probe, batch_size=3, max_steps=10)
    assert sorted(np.concatenate(batches).tolist()) == list(range(7))
    assert [batch.tolist() for batch in batches] == [[4], [0, 2, 3], [6], [1, 5]]
    assert [len(batch) for batch in equal_length_batches(probe, batch_size=3, max_steps=4)] == [1] * 7
    rows = np.concatenate([make_batch(probe, batch, torch.zeros(1)).steps.reshape(-1) for batch in batches])
    assert sorted(rows.tolist()) == list(range(int(probe.lengths.sum())))
    for batch in batches:
        made = make_batch(probe, batch, torch.zeros(1))
        np.testing.assert_array_equal(made.inputs.numpy(), probe.tokens[made.steps])


@pytest.mark.parametrize("lengths", [[3], [3, 3, 3], [2, 2], [1]])
def test_trial_tells_sequences_from_steps(lengths: list[int]) -> None:
    batch = trial_batch(make_token_probe(lengths), torch.zeros(1))
    assert batch.inputs.shape[0] != batch.inputs.shape[1]


class Asking(Tagger):
    def forward(self, inputs: Tensor, mask: Tensor) -> Any:
        return super().forward(inputs)


class Failing(Tagger):
    def forward(self, inputs: Tensor) -> Any:
        raise RuntimeError("no such thing")


class Skipping(Tagger):
    def forward(self, inputs: Tensor) -> Any:
        return super().forward(inputs[:, ::2])


class Random(Tagger):
    def forward(self, inputs: Tensor) -> Any:
        return self.rnn(nn.functional.dropout(self.emb(inputs), 0.5, training=True))[0]


class Hoarding(Tagger):
    """Keeps its state where it cannot be put back."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = [None]

    def forward(self, inputs: Tensor) -> Any:
        output, self.kept[0] = self.rnn(self.emb(inputs), self.kept[0])
        return self.fc(output)


class Wavering(Tagger):
    """Runs one layer or two, as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.moods = [1, 2]
        self.more = nn.GRU(5, H, batch_first=True)

    def forward(self, inputs: Tensor) -> Any:
        self.moods.reverse()
        output = self.rnn(self.emb(inputs))[0]
        return self.fc(output if self.moods[0] == 1 else self.more(self.emb(inputs))[0])


class Reading(Tagger):
    """What it does depends on the last token; that tells nothing about the order of its steps."""

    def forward(self, inputs: Tensor) -> Any:
        if (inputs[:, -1] == inputs[0, -1]).all() and len(inputs) > 1 and inputs[0, -1] == inputs.min():
            return self.fc(self.rnn(self.emb(inputs[:, 1:]))[0])
        return self.fc(self.rnn(self.emb(inputs))[0])


class TooFew(Tagger):
    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(V - 8, 5)


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (Asking(), "forward of Asking needs 'mask'"),
        (
            Failing(),
            "the model fails on a batch of (3, 5) int64: RuntimeError: no such thing at test_capture_calling.py",
        ),
        (TooFew(), "index out of range"),
        (Skipping(), "rnn saw 3 sequences of 3 steps in a batch of 3 of 5"),
        (Random(), "rnn gives other states when the same batch comes twice"),
        (Wavering(), "Wavering runs other layers when the same batch comes twice"),
        (Hoarding(), "rnn gives other states when the same batch comes twice"),
    ],
)
def test_models_that_cannot_be_called(model: nn.Module, complaint: str) -> None:
    batch = trial_batch(make_token_probe([5, 5, 5]), torch.zeros(1))
    with pytest.raises(InputError) as caught:
        find_convention(model, None, batch)
    assert complaint in str(caught.value)


def test_a_model_that_reads_ahead_is_taken_to_read_forward() -> None:
    batch = trial_batch(make_token_probe([5, 5, 5]), torch.zeros(1))
    assert find_convention(Reading(), None, batch) == Convention(None, "", False)


def test_adapter_decides() -> None:
    def adapter(model: nn.Module, inputs: Tensor, lengths: Tensor) -> Tensor:
        assert lengths.tolist() == [inputs.shape[1]] * len(inputs)
        output: Tensor = model(inputs, torch.ones_like(inputs))
        return output

    batch = trial_batch(make_token_probe([5, 5, 5]), torch.zeros(1))
    convention = find_convention(Asking(), adapter, batch)
    assert convention == Convention(adapter, "", False)
    raw, calls = observe(Asking(), convention, batch)
    assert raw.shape == (3, 5, K)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (torch.ones(2), True),
        ((None, torch.ones(2), torch.zeros(2)), True),
        ({"logits": torch.ones(2), "loss": torch.zeros(2)}, True),
        ({"scores": torch.ones(2)}, False),
        ((), False),
        (None, False),
    ],
)
def test_prediction_in_an_output(raw: Any, found: bool) -> None:
    if found:
        assert torch.equal(first_tensor(raw), torch.ones(2))
    else:
        with pytest.raises(InputError, match="no prediction is found"):
            first_tensor(raw)


def test_forms_are_told_by_their_sums() -> None:
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    assert form_of(logits, None, "classification") == "logits"
    assert form_of(logits.softmax(-1), None, "tagging") == "probabilities"
    assert form_of(logits.log_softmax(-1), None, "language-model") == "log-probabilities"
    one = logits[:, :1]
    assert form_of(one, one, "classification") == "logits"
    assert form_of(one.sigmoid(), one, "classification") == "probabilities"


def test_labels_and_quantities_have_forms_of_their_own() -> None:
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    assert form_of(logits, None, "multi-label") == "label-logits"
    assert form_of(logits.sigmoid(), logits, "multi-label") == "label-probabilities"
    assert form_of(logits.sigmoid(), None, "multi-label") == "label-probabilities"
    small = logits.abs() / 10
    assert form_of(small, small, "multi-label") == "label-logits"  # the last linear module gave them as they are
    for task in ("regression", "step-regression"):
        assert form_of(logits.softmax(-1), None, task) == "quantities"  # type: ignore[arg-type]
    recorded = OutputReader("sequences", 3, "label-logits").recorded(logits)
    np.testing.assert_allclose(recorded, logits.sigmoid().numpy())
    np.testing.assert_array_equal(OutputReader("sequences", 3, "label-probabilities").recorded(small), small.numpy())
    np.testing.assert_array_equal(OutputReader("sequences", 3, "quantities").recorded(logits), logits.numpy())
    with pytest.raises(InputError, match=r"taken for probabilities, because .* and now they reach from -\d"):
        OutputReader("sequences", 3, "label-probabilities").recorded(logits)


@pytest.mark.parametrize("form", ["logits", "log-probabilities", "probabilities"])
def test_all_forms_give_the_same_probabilities(form: Any) -> None:
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    values = {"logits": logits, "log-probabilities": logits.log_softmax(-1), "probabilities": logits.softmax(-1)}[form]
    reader = OutputReader("sequences", 3, form)
    torch.testing.assert_close(reader.probabilities(values), logits.softmax(-1))
    torch.testing.assert_close(reader.log_probabilities(values), logits.log_softmax(-1))


def test_single_output_becomes_two_classes() -> None:
    logit = torch.tensor([[0.3], [-200.0]])
    pair = OutputReader("sequences", 1, "logits").probabilities(logit)
    torch.testing.assert_close(pair, torch.cat([1 - logit.sigmoid(), logit.sigmoid()], 1))
    assert OutputReader("sequences", 1, "logits").log_probabilities(logit)[1, 1] == -200
    torch.testing.assert_close(OutputReader("sequences", 1, "probabilities").probabilities(logit.sigmoid()), pair)


def test_output_of_another_shape_is_refused() -> None:
    probe = make_token_probe([5, 5, 5])
    batch = trial_batch(probe, torch.zeros(1))
    with pytest.raises(InputError, match=r"shape \(3, 4\) for 3 sequences of 5 steps"):
        find_layout(torch.zeros(3, 4), torch.zeros(1, 4), batch)
    with pytest.raises(InputError, match="must hold 60 numbers"):
        OutputReader("batch-first", K, "logits").predictions(torch.zeros(3, 4, K), batch)
