"""Cells that torch does not have, layers named by path, and layers that read a sequence from its end."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnreport.capture.probe import make_probe
from rnnreport.capture.recorder import Recorder
from rnnreport.capture.run import capture_run
from rnnreport.cli import main
from rnnreport.errors import InputError
from rnnreport.load.corpus import Corpus
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Checkpoint, StateKey
from tests.cell_nets import (
    BothWays,
    D,
    Embedded,
    Gated,
    H,
    K,
    Scanned,
    StateSpace,
    Stepped,
    Translator,
    gated_alone,
    lstm_alone,
    state_space_alone,
)

torch.set_num_threads(1)

LENGTHS = [4, 7, 4, 1, 7, 2]


def corpus() -> Corpus:
    rng = np.random.default_rng(0)
    return Corpus(
        name="series",
        task="classification",
        sequence_ids=tuple(f"s{number}" for number in range(len(LENGTHS))),
        inputs=tuple(rng.normal(size=(length, D)).astype(np.float32) for length in LENGTHS),
        labels=np.arange(len(LENGTHS), dtype=np.int32) % K,
        step_targets=(),
        vocabulary=(),
        class_names=("k0", "k1"),
        feature_names=("x", "y", "z"),
        skipped={},
        unknown_tokens=0,
        sha256="",
    )


def captured(model: nn.Module, folder: Path, *layers: str) -> tuple[RunFolder, Checkpoint]:
    run = RunFolder(folder / "run")
    capture_run(model, corpus(), run, name="run", source="here:Net", weights=None, layers=layers)
    return run, run.checkpoint(0)


def test_a_minimal_gated_unit_is_recorded_step_by_step(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Gated()
    run, checkpoint = captured(model, tmp_path, "cell")
    expected = np.concatenate([gated_alone(model.cell, values) for values in corpus().inputs])
    np.testing.assert_allclose(checkpoint.states["cell.0.fwd.h"], expected, atol=1e-6)
    manifest = run.manifest()
    assert manifest.state_keys == ("cell.0.fwd.h",)
    assert {name: manifest.model[name] for name in ("cell", "layers", "units", "bidirectional")} == {
        "cell": "MinimalGatedUnit",
        "layers": 1,
        "units": H,
        "bidirectional": False,
    }
    assert "“head”" in manifest.head
    last = checkpoint.step_output[np.cumsum(LENGTHS) - 1]
    np.testing.assert_allclose(last, checkpoint.model_output, atol=1e-5)


@pytest.mark.parametrize(("time_major", "layer"), [(False, "ssm"), (True, "ssm"), (True, "turn")])
def test_a_diagonal_state_space_is_recorded_in_either_order(time_major: bool, layer: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = StateSpace(time_major)
    run, checkpoint = captured(model, tmp_path, layer)
    expected = np.concatenate([state_space_alone(model.ssm, values) for values in corpus().inputs])
    np.testing.assert_allclose(checkpoint.states[f"{layer}.0.fwd.h"], expected, atol=1e-6)
    assert "“head”" in run.manifest().head


@pytest.mark.parametrize(
    ("form", "layer", "meaning"),
    [
        ("tuple", "cell:h,c", {"h": "h", "c": "c"}),
        ("tuple", "cell: c , h", {"h": "c", "c": "h"}),  # names are taken as they are given
        ("tuple", "cell:out,memory", {"out": "h", "memory": "c"}),
        ("dict", "cell:c,h", {"h": "h", "c": "c"}),
        ("dict", "cell:c", {"c": "c"}),
        ("nested", "cell:out,h,c", {"h": "h", "out": "h", "c": "c"}),
    ],
)
def test_states_of_a_cell_have_the_names_given(form: str, layer: str, meaning: dict[str, str], tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Stepped(form)
    run, checkpoint = captured(model, tmp_path, layer)
    alone = [lstm_alone(model.cell, values) for values in corpus().inputs]
    own = {"h": np.concatenate([h for h, _ in alone]), "c": np.concatenate([c for _, c in alone])}
    manifest = run.manifest()
    assert manifest.state_keys == tuple(f"cell.0.fwd.{kind}" for kind in meaning)
    for kind, state in meaning.items():
        np.testing.assert_allclose(checkpoint.states[f"cell.0.fwd.{kind}"], own[state], atol=1e-6)
    assert manifest.model["cell"] == "OwnLSTM"
    first = next(iter(meaning.values()))  # what the head is applied to
    assert manifest.head.startswith("The expected prediction of a step is “head”, ") == (first == "h")


def test_states_of_one_call_may_have_widths_and_orders_of_their_own(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Scanned()
    run, checkpoint = captured(model, tmp_path, "scan:x,both")
    expected = np.concatenate([state_space_alone(model.scan.ssm, values) for values in corpus().inputs])
    np.testing.assert_allclose(checkpoint.states["scan.0.fwd.x"], expected, atol=1e-6)
    np.testing.assert_allclose(checkpoint.states["scan.0.fwd.both"], np.hstack([expected, -expected]), atol=1e-6)
    assert run.manifest().model["units"] == H
    assert [StateKey.parse(key).title for key in run.manifest().state_keys] == [
        "scan, layer 1, state x",
        "scan, layer 1, state both",
    ]


def test_a_layer_of_torchs_own_takes_the_names_that_are_given(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Stepped()
    model.cell = nn.LSTMCell(D, H)  # type: ignore[assignment]
    model.cell.form = "tuple"  # type: ignore[assignment]
    _, plain = captured(model, tmp_path / "plain")
    run, checkpoint = captured(model, tmp_path, "cell:y,memory")
    assert run.manifest().state_keys == ("cell.0.fwd.y", "cell.0.fwd.memory")
    np.testing.assert_allclose(checkpoint.states["cell.0.fwd.memory"], plain.states["cell.0.fwd.c"], atol=1e-6)


def test_layers_stand_beside_the_recurrent_ones_and_come_first(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Embedded()
    run, checkpoint = captured(model, tmp_path, "project")
    assert run.manifest().state_keys == ("project.0.fwd.h", "rnn.0.fwd.h", "rnn.0.fwd.c")
    with torch.no_grad():
        projected = model.project(torch.from_numpy(np.concatenate(corpus().inputs)))
    np.testing.assert_allclose(checkpoint.states["project.0.fwd.h"], projected.numpy(), atol=1e-6)
    _, plain = captured(model, tmp_path / "plain")
    np.testing.assert_array_equal(plain.states["rnn.0.fwd.c"], checkpoint.states["rnn.0.fwd.c"])


def test_a_recurrent_layer_that_is_named_is_recorded_alone_with_its_cells(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Translator()
    with pytest.raises(InputError, match=r"decoder saw 3 sequences of 3 steps .* name those with --layer PATH"):
        captured(model, tmp_path)
    run, checkpoint = captured(model, tmp_path, "encoder")
    assert run.manifest().state_keys == tuple(f"encoder.{key}" for key in ("1.fwd.h", "1.fwd.c", "0.fwd.h", "0.fwd.c"))
    with torch.no_grad():
        alone = [model.encoder(model.project(torch.from_numpy(values))) for values in corpus().inputs]
    np.testing.assert_allclose(checkpoint.states["encoder.1.fwd.h"], torch.cat([out for out, _ in alone]), atol=1e-6)
    cells = torch.cat([c_n[:, None] for _, (_, c_n) in alone], 1)
    for layer in range(2):
        found = checkpoint.states[f"encoder.{layer}.fwd.c"][np.cumsum(LENGTHS) - 1]
        np.testing.assert_allclose(found, cells[layer], atol=1e-6)


@pytest.mark.parametrize(
    ("layers", "complaint"),
    [
        (["nose"], "the model has no module 'nose' (its modules are: cell, cell.gate, cell.candidate, head)"),
        (["head"], "the layer head gave (3, 2) in 1 calls in a batch of 3 sequences of 7 steps"),
        ([], "no recurrent module was called in Gated: it has none of torch's (name the module whose output"),
    ],
)
def test_layers_that_cannot_be_read_are_refused(layers: list[str], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        captured(Gated(), tmp_path, *layers)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("form", "layers", "complaint"),
    [
        ("tuple", ["cell:h"], "the layer cell returns 2 tensors, and 1 names are given: h (give each tensor that it"),
        ("nested", ["cell:h,c"], "the layer cell returns 3 tensors, and 2 names are given: h, c (give each tensor"),
        (
            "dict",
            ["cell:h,m"],
            "the layer cell returns a dict without 'm' (name some of its keys that hold tensors: c, h",
        ),
        ("dict", ["cell:note"], "the layer cell returns a dict without 'note'"),
        ("tuple", ["cell:h,"], "layer 'cell:h,': the states cannot be called 'h,'"),
        ("tuple", ["cell:h,h"], "the states cannot be called 'h,h' (write different names, as in cell:h,c)"),
        ("tuple", ["cell:a.b"], "the states cannot be called 'a.b'"),
        ("tuple", ["cell:h,c", "cell"], "the layer cell is named twice (name all its states at once: cell:h,c)"),
        ("tuple", ["head:x"], "the layer head gave (3, 2) in 1 calls as x in a batch of 3 sequences of 7 steps"),
    ],
)
def test_names_that_do_not_fit_are_refused(form: str, layers: list[str], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        captured(Stepped(form), tmp_path, *layers)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_recurrent_layers_that_are_not_called_are_named(tmp_path: Path) -> None:
    model = StateSpace()
    model.add_module("spare", nn.GRUCell(2, 2))
    with pytest.raises(InputError, match="it has GRUCell, but its forward does not call it"):
        captured(model, tmp_path)


def test_layer_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    (tmp_path / "own_cell.py").write_text(
        "import torch\nfrom torch import nn\n\n\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.embed, self.mix, self.head = nn.Embedding(5, 4), nn.Linear(8, 4), nn.Linear(4, 2)\n\n"
        "    def forward(self, tokens):\n"
        "        h = torch.zeros(len(tokens), 4)\n"
        "        for x in self.embed(tokens).unbind(1):\n"
        "            h = self.mix(torch.cat([x, h], 1)).tanh()\n"
        "        return self.head(h)\n"
    )
    (tmp_path / "a.tsv").write_text("text\tlabel\n" + "a b c\tx\nb a\ty\nc c a\tx\n" * 4)
    (tmp_path / "words.json").write_text(json.dumps(list("abcde")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))
    files = ["--corpus", "a.tsv", "--vocabulary", "words.json", "--out", "run"]
    assert main(["capture", "--model", "own_cell:Net", "--layer", "mix", "--layer", "embed", *files]) == 0
    assert RunFolder.open(tmp_path / "run").manifest().state_keys == ("embed.0.fwd.h", "mix.0.fwd.h")


@pytest.mark.parametrize("cells", [False, True])
def test_a_layer_that_reads_from_the_end_is_recorded_in_the_order_of_the_sequence(cells: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = BothWays(cells)
    run, checkpoint = captured(model, tmp_path)
    assert run.manifest().state_keys == ("top.0.fwd.h", "there.0.fwd.h", "back.0.rev.h")
    assert "in both directions" in run.manifest().head
    expected: dict[str, list[Tensor]] = {key: [] for key in run.manifest().state_keys}
    with torch.no_grad():
        for values in corpus().inputs:
            row = torch.from_numpy(values)[:, None]
            there, back = model.run(model.there, row), model.run(model.back, row.flip(0)).flip(0)
            top = model.run(model.top, torch.cat([there, back], 2))
            for key, states in zip(expected, (top, there, back), strict=True):
                expected[key].append(states[:, 0])
    for key, parts in expected.items():
        np.testing.assert_allclose(checkpoint.states[key], torch.cat(parts).numpy(), atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_batches_change_no_number(batch_size: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Gated()
    _, whole = captured(model, tmp_path, "cell")
    given = corpus()
    turned = replace(
        given, sequence_ids=given.sequence_ids[::-1], inputs=given.inputs[::-1], labels=given.labels[::-1].copy()
    )
    probe = make_probe(turned)
    recorder = Recorder(model, probe, RunFolder(tmp_path / "other"), layers=["cell"], batch_size=batch_size)
    other = recorder.capture(0)
    ids = [probe.sequence_ids.index(name) for name in make_probe(corpus()).sequence_ids]
    rows = np.concatenate([np.arange(*probe.offsets[n : n + 2]) for n in ids])
    np.testing.assert_allclose(other.states["cell.0.fwd.h"][rows], whole.states["cell.0.fwd.h"], atol=1e-6)
    np.testing.assert_allclose(other.model_output[ids], whole.model_output, atol=1e-6)
    np.testing.assert_allclose(other.step_output[rows], whole.step_output, atol=1e-6)
