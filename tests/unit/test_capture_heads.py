"""The head is found where it exists, refused where it does not hold, and the sentence says which."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnreport.capture.probe import make_probe
from rnnreport.capture.recorder import Recorder
from rnnreport.cli import main
from rnnreport.errors import InputError
from rnnreport.load.corpus import Corpus
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Checkpoint, Probe

torch.set_num_threads(1)

D, H = 3, 6


def series_probe(classes: int = 3) -> Probe:
    rng = np.random.default_rng(0)
    lengths = [4, 7, 4, 1, 7, 2]
    return make_probe(
        Corpus(
            name="series",
            task="classification",
            sequence_ids=tuple(f"s{number}" for number in range(len(lengths))),
            inputs=tuple(rng.normal(size=(length, D)).astype(np.float32) for length in lengths),
            labels=np.arange(len(lengths), dtype=np.int32) % classes,
            step_targets=(),
            vocabulary=(),
            class_names=tuple(f"k{number}" for number in range(classes)),
            feature_names=("x", "y", "z"),
            skipped={},
            unknown_tokens=0,
            sha256="",
        )
    )


class Net(nn.Module):
    """Reads the last state with ``tail``; subclasses read something else."""

    def __init__(self, tail: nn.Module, cell: Any = nn.GRU, **options: Any) -> None:
        super().__init__()
        self.rnn = cell(D, H, batch_first=True, **options)
        self.drop = nn.Dropout(0.5)
        self.tail = tail

    def read(self, states: Tensor) -> Tensor:
        return states[:, -1]

    def forward(self, inputs: Tensor) -> Any:
        return self.tail(self.drop(self.read(self.rnn(inputs)[0])))


class Finals(Net):
    def forward(self, inputs: Tensor) -> Any:
        return self.tail(self.rnn(inputs)[1])  # (1, B, K), as h_n has it


class Mean(Net):
    def read(self, states: Tensor) -> Tensor:
        return states.mean(1)


class Maximum(Net):
    def read(self, states: Tensor) -> Tensor:
        return states.max(1).values


class Attention(Net):
    def read(self, states: Tensor) -> Tensor:
        return (states.sum(-1).softmax(1).unsqueeze(-1) * states).sum(1)


class Link(Net):
    """Applies a function after the tail."""

    def __init__(self, tail: nn.Module, link: Any) -> None:
        super().__init__(tail)
        self.link = link

    def forward(self, inputs: Tensor) -> Any:
        return self.link(super().forward(inputs))


class Normed(Net):
    """A normalisation that is all but the identity before training, and an auxiliary head that runs last."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(H, 3))
        self.norm = nn.BatchNorm1d(H)
        self.auxiliary = nn.Linear(H, 9)

    def forward(self, inputs: Tensor) -> Any:
        last = self.norm(self.rnn(inputs)[0][:, -1])
        return self.tail(last), self.auxiliary(last)


def record(model: nn.Module, probe: Probe, folder: Path, head: str | None = None) -> tuple[Checkpoint, str]:
    recorder = Recorder(model, probe, RunFolder(folder), head=head)
    return recorder.capture(0), recorder.head


def alone(model: nn.Module, probe: Probe) -> list[tuple[Tensor, Tensor]]:
    """Output and last-layer states of each sequence by itself."""
    model.eval()
    found = []
    with torch.no_grad():
        for values in np.split(probe.values, probe.offsets[1:-1]):
            inputs = torch.from_numpy(values)[None]
            output = model(inputs)
            output = output[0] if isinstance(output, tuple) else output
            found.append((output.reshape(-1), model.rnn(inputs)[0][0]))
    return found


TAILS = {
    "linear": lambda: nn.Linear(H, 3),
    "norm": lambda: nn.Sequential(nn.LayerNorm(H), nn.Dropout(0.1), nn.Linear(H, 3)),
    "deep": lambda: nn.Sequential(nn.Linear(H, 8), nn.ReLU(), nn.Linear(8, 3)),
}


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize(("reading", "cell"), [(Net, nn.RNN), (Net, nn.LSTM), (Finals, nn.GRU)])
def test_expected_prediction_is_the_head_of_every_state(tail: str, reading: Any, cell: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, probe = reading(TAILS[tail](), cell), series_probe()
    checkpoint, sentence = record(model, probe, tmp_path)
    assert "“tail”" in sentence and "all 6 sequences" in sentence
    for number, (output, states) in enumerate(alone(model, probe)):
        with torch.no_grad():
            expected = model.tail(states).softmax(-1)
        rows = slice(*probe.offsets[number : number + 2])
        np.testing.assert_allclose(checkpoint.step_output[rows], expected.numpy(), atol=1e-6)
        np.testing.assert_allclose(checkpoint.model_output[number], output.softmax(-1).numpy(), atol=1e-6)
    last = checkpoint.step_output[probe.offsets[1:] - 1]
    np.testing.assert_allclose(last, checkpoint.model_output, atol=1e-5)


@pytest.mark.parametrize(
    ("link", "classes", "probabilities"),
    [
        (lambda z: z.log_softmax(-1), 3, lambda y: y.exp()),
        (lambda z: z.softmax(-1), 3, lambda y: y),
        (nn.Softmax(-1), 3, lambda y: y),
        (torch.sigmoid, 1, lambda y: torch.cat([1 - y, y])),
        (nn.Sigmoid(), 1, lambda y: torch.cat([1 - y, y])),
        (lambda z: z, 1, lambda y: torch.cat([1 - y.sigmoid(), y.sigmoid()])),
        (lambda z: z.squeeze(1), 1, lambda y: torch.cat([1 - y.sigmoid(), y.sigmoid()])),
    ],
)
def test_every_form_of_output(link: Any, classes: int, probabilities: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, probe = Link(nn.Linear(H, classes), link), series_probe(max(classes, 2))
    checkpoint, sentence = record(model, probe, tmp_path)
    assert "“tail”" in sentence
    expected = torch.stack([probabilities(output) for output, _ in alone(model, probe)])
    np.testing.assert_allclose(checkpoint.model_output, expected.numpy(), atol=1e-6)
    np.testing.assert_allclose(checkpoint.model_output.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(checkpoint.step_output[probe.offsets[1:] - 1], checkpoint.model_output, atol=1e-5)


def test_normalisation_belongs_to_the_head_though_it_starts_as_the_identity(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, probe = Normed(), series_probe()
    recorder = Recorder(model, probe, RunFolder(tmp_path))
    assert "“norm” then “tail”" in recorder.head
    model.norm.running_mean.fill_(0.5)
    checkpoint = recorder.capture(1)
    np.testing.assert_allclose(checkpoint.step_output[probe.offsets[1:] - 1], checkpoint.model_output, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Mean(nn.Linear(H, 3)), "from the mean of its states over all steps"),
        (Maximum(nn.Linear(H, 3)), "from the maximum of its states over all steps"),
        (Attention(nn.Linear(H, 3)), "no module that runs after the recurrent layers maps the last state"),
        (Net(nn.Linear(2 * H, 3), bidirectional=True), "the model reads in both directions"),
    ],
)
def test_no_head_is_said_with_its_reason(model: nn.Module, reason: str, tmp_path: Path) -> None:
    checkpoint, sentence = record(model, series_probe(), tmp_path)
    assert "re-running the model on every prefix of 6 of 6 sequences (exact, not the head applied to the" in sentence
    assert reason in sentence
    np.testing.assert_allclose(checkpoint.model_output.sum(1), 1, atol=1e-5)


def test_head_by_path(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, probe = Normed(), series_probe()
    model.norm.running_mean.fill_(0.5)
    with pytest.raises(InputError, match=r"head 'tail' does not hold: .* differs by"):
        record(model, probe, tmp_path, head="tail")
    with pytest.raises(InputError, match=r"no module 'nose' for its head \(its linear modules are: tail, auxiliary\)"):
        record(model, probe, tmp_path, head="nose")
    _, sentence = record(Net(nn.Sequential(nn.Linear(H, 3))), probe, tmp_path, head="tail.0")
    assert "“tail.0”" in sentence


class Functional(Net):
    """Reads the last state by a matrix of its own, which no module applies."""

    def __init__(self) -> None:
        super().__init__(nn.Identity())
        self.matrix = nn.Parameter(torch.randn(H, 3))

    def forward(self, inputs: Tensor) -> Any:
        return self.rnn(inputs)[0][:, -1] @ self.matrix


def by_matrix(model: Any, states: Tensor) -> Tensor:
    """Predictions (n, K) of states (n, H)."""
    return states @ model.matrix  # type: ignore[no-any-return]


def fails(model: nn.Module, states: Tensor) -> Tensor:
    raise ValueError("no such thing")


def test_head_by_function(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, probe = Functional(), series_probe()
    _, sentence = record(model, probe, tmp_path)
    assert "no module that runs after the recurrent layers" in sentence
    recorder = Recorder(model, probe, tmp_path, head=by_matrix)
    checkpoint = recorder.capture(0)
    assert recorder.head.startswith("The expected prediction of a step is “tests.unit.test_capture_heads:by_matrix”, ")
    for number, (_, states) in enumerate(alone(model, probe)):
        with torch.no_grad():
            expected = (states @ model.matrix).softmax(-1)
        rows = slice(*probe.offsets[number : number + 2])
        np.testing.assert_allclose(checkpoint.step_output[rows], expected.numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("model", "head", "complaint"),
    [
        (
            Functional,
            lambda model, states: states @ model.matrix + 1e-3,
            r"<lambda>” does not hold: .* differs by 0.001 ",
        ),
        (
            Functional,
            fails,
            r"fails” fails on states of shape \(3, 6\): ValueError: no such thing at test_capture_heads",
        ),
        (Functional, lambda model, states: states, r"gives 6 outputs for a state, the model has 3 "),
        (Functional, lambda model, states: None, r"<lambda>” fails on states of shape"),
        (
            lambda: Mean(nn.Linear(H, 3)),
            lambda model, states: model.tail(states),
            "does not hold: .* from the mean of its",
        ),
        (lambda: Net(nn.Linear(H, 3)), "rnn", r"head “rnn” fails on states of shape \(3, 6\): "),
        (
            lambda: Net(nn.Linear(2 * H, 3), bidirectional=True),
            "tail",
            "head 'tail' does not hold: the model reads in both directions",
        ),
    ],
)
def test_heads_that_do_not_hold_are_refused_precisely(model: Any, head: Any, complaint: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    with pytest.raises(InputError, match=complaint):
        Recorder(model(), series_probe(), tmp_path, head=head)


def test_head_by_function_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_head.py").write_text(
        "import torch\nfrom torch import nn\n\n\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.embed, self.rnn = nn.Embedding(5, 4), nn.GRU(4, 3, batch_first=True)\n\n"
        "    def forward(self, tokens):\n"
        "        return read(self, self.rnn(self.embed(tokens))[0][:, -1])\n\n\n"
        "def read(model, states):\n"
        "    return states[:, :2] - states[:, 2:]\n"
    )
    (tmp_path / "a.tsv").write_text("text\tlabel\n" + "a b c\tx\nb a\ty\nc c a\tx\n" * 4)
    (tmp_path / "words.json").write_text('["a", "b", "c", "d", "e"]')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))
    options = ["--model", "own_head:Net", "--corpus", "a.tsv", "--vocabulary", "words.json", "--out", "run"]
    assert main(["capture", *options, "--head", "own_head:read"]) == 0
    assert "is “own_head:read”, the model's own head" in RunFolder.open(tmp_path / "run").manifest().head
    assert main(["capture", *options, "--head", "own_head:nose", "--force"]) == 2


def test_other_number_of_classes_names_both(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the model has 5 outputs, the corpus 3 classes \(k0, k1, k2\)"):
        record(Net(nn.Linear(H, 5)), series_probe(), tmp_path)
    with pytest.raises(InputError, match="the model has 1 outputs, the corpus 3 classes"):
        record(Net(nn.Linear(H, 1)), series_probe(), tmp_path)


def test_one_prediction_per_sequence_is_needed(tmp_path: Path) -> None:
    class PerStep(Net):
        def read(self, states: Tensor) -> Tensor:
            return states

    with pytest.raises(InputError, match="a prediction for every sequence is needed"):
        record(PerStep(nn.Linear(H, 3)), series_probe(), tmp_path)


def test_head_is_checked_on_every_sequence_not_on_a_trial(tmp_path: Path) -> None:
    class MeanOfShort(Net):
        def read(self, states: Tensor) -> Tensor:
            return states.mean(1) if states.shape[1] == 2 else states[:, -1]

    _, sentence = record(MeanOfShort(nn.Linear(H, 3)), series_probe(), tmp_path)
    assert "“tail”, applied to the last state, differs from the model's output by up to" in sentence
    assert "re-running the model" in sentence


def test_head_that_stops_holding_is_left_out_of_the_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Changing(Net):
        pooled = False

        def read(self, states: Tensor) -> Tensor:
            return states.mean(1) if self.pooled else states[:, -1]

    torch.manual_seed(0)
    model = Changing(nn.Linear(H, 3))
    recorder = Recorder(model, series_probe(), RunFolder(tmp_path))
    assert np.isfinite(recorder.capture(0).step_output).all()
    model.pooled = True
    assert np.isnan(recorder.capture(1).step_output).all()
    assert "epoch 1: the head no longer gives the model's own output" in capsys.readouterr().err


class Dispatched(Net):
    """Calls ``forward`` of its parts, past all hooks."""

    def forward(self, inputs: Tensor) -> Any:
        return self.tail.forward(self.drop.forward(self.rnn.forward(inputs)[0][:, -1]))


class Looped(Net):
    """Steps cells; the head reads the last state of the upper one."""

    def __init__(self, tail: nn.Module) -> None:
        super().__init__(tail)
        self.rnn = nn.ModuleList([nn.LSTMCell(D, H), nn.LSTMCell(H, H)])

    def forward(self, inputs: Tensor) -> Any:
        states: list[Any] = [None, None]
        for values in inputs.unbind(1):
            states[0] = self.rnn[0](values, states[0])
            states[1] = self.rnn[1](states[0][0], states[1])
        return self.tail(states[1][0])


@pytest.mark.parametrize("kind", [Dispatched, Looped])
def test_head_of_models_that_hooks_do_not_see(kind: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, probe = kind(nn.Linear(H, 3)).eval(), series_probe()
    checkpoint, sentence = record(model, probe, tmp_path)
    assert "“tail”" in sentence and "all 6 sequences" in sentence
    np.testing.assert_allclose(checkpoint.step_output[probe.offsets[1:] - 1], checkpoint.model_output, atol=1e-5)
    for number, values in enumerate(np.split(probe.values, probe.offsets[1:-1])):
        with torch.no_grad():
            output = model(torch.from_numpy(values)[None]).softmax(-1)[0]
        np.testing.assert_allclose(checkpoint.model_output[number], output.numpy(), atol=1e-6)
