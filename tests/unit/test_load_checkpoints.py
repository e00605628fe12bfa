"""Files of weights as torch and safetensors write them: read, or refused with the way out."""

from __future__ import annotations

import argparse
import importlib
import os
import pickle
import re
import shutil
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_model
from torch import Tensor, nn

from rnnreport.errors import InputError
from rnnreport.load.checkpoints import allowing, read_state_dict
from rnnreport.load.weights import load_weights

CONFIG = """
class Config:
    def __init__(self, units):
        self.units = units
"""


class Net(nn.Module):
    def __init__(self, units: int = 4) -> None:
        super().__init__()
        self.rnn, self.fc = nn.GRU(3, units, batch_first=True), nn.Linear(units, 2)

    def forward(self, values: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        logits = self.fc(self.rnn(values)[0][:, -1])
        return {"logits": logits} | ({} if labels is None else {"loss": nn.functional.cross_entropy(logits, labels)})


class Tied(nn.Module):
    """A language model with one matrix for words in and out."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.rnn, self.out = nn.Embedding(7, 4), nn.GRU(4, 4), nn.Linear(4, 7, bias=False)
        self.out.weight = self.embedding.weight


def fits(model: nn.Module, source: nn.Module) -> bool:
    expected = source.state_dict()
    return all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())


@pytest.fixture
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module in the working directory that defines ``Config``."""
    name = "configs_" + "".join(c for c in tmp_path.name if c.isalnum())
    (tmp_path / f"{name}.py").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def refusal(path: Path, model: nn.Module | None = None) -> str:
    with pytest.raises(InputError) as caught:
        load_weights(model or Net(), path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def offered(message: str) -> list[str]:
    """The classes of the way out that a refusal prints."""
    return re.findall(r"--safe-global ([\w.]+:\w+)", message)


def test_tied_weights_are_stored_once_or_equal(tmp_path: Path) -> None:
    source = Tied()
    save_model(source, str(tmp_path / "w.safetensors"))
    torch.save(source.state_dict(), tmp_path / "w.pt")
    assert len(read_state_dict(tmp_path / "w.safetensors")) == len(source.state_dict()) - 1
    for name in ("w.safetensors", "w.pt"):
        model = Tied()
        load_weights(model, tmp_path / name)
        assert fits(model, source)
        assert model.out.weight is model.embedding.weight
    state = {key: value.clone() for key, value in source.state_dict().items()}
    state["out.weight"] += 1
    torch.save(state, tmp_path / "untied.pt")
    assert "embedding.weight and out.weight differ, and are one" in refusal(tmp_path / "untied.pt", Tied())


# -- objects in pickles --


def test_numpy_numbers_beside_the_weights(tmp_path: Path) -> None:
    source, model = Net(), Net()
    torch.save({"model": source.state_dict(), "best": np.float64(0.9), "curve": np.arange(3)}, tmp_path / "w.pt")
    message = refusal(tmp_path / "w.pt")
    assert {"numpy:dtype", "numpy:ndarray"} < set(offered(message))
    with allowing(offered(message)):
        load_weights(model, tmp_path / "w.pt")
    assert fits(model, source)


@pytest.mark.filterwarnings("ignore:numpy.core is deprecated:DeprecationWarning")
def test_a_number_by_numpy_1(tmp_path: Path) -> None:
    torch.save({"model": Net().state_dict(), "best": np.float64(0.9)}, tmp_path / "new.pt")
    with zipfile.ZipFile(tmp_path / "new.pt") as new, zipfile.ZipFile(tmp_path / "w.pt", "w") as old:
        for name in new.namelist():
            old.writestr(name, new.read(name).replace(b"numpy._core.", b"numpy.core."))
    message = refusal(tmp_path / "w.pt")
    assert "numpy.core.multiarray:scalar" in offered(message)
    with allowing(offered(message)):
        load_weights(Net(), tmp_path / "w.pt")


@pytest.mark.parametrize("zipped", [True, False])
def test_settings_of_a_class_of_ones_own(tmp_path: Path, importable: str, zipped: bool) -> None:
    source, model = Net(), Net()
    settings = importlib.import_module(importable).Config(4)
    torch.save(
        {"net": source.state_dict(), "settings": settings},
        tmp_path / "w.pt",
        _use_new_zipfile_serialization=zipped,
    )
    message = refusal(tmp_path / "w.pt")
    assert offered(message) == [f"{importable}:Config"]
    with allowing(offered(message)):
        load_weights(model, tmp_path / "w.pt")
    assert fits(model, source)


def test_settings_of_a_class_of_the_script_that_was_run(
    tmp_path: Path, importable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, model = Net(), Net()
    config = importlib.import_module(importable).Config
    with monkeypatch.context() as script:  # as if the module had been the script
        script.setattr(config, "__module__", "__main__")
        script.setattr(sys.modules["__main__"], "Config", config, raising=False)
        torch.save({"net": source.state_dict(), "settings": config(4)}, tmp_path / "w.pt")
    message = refusal(tmp_path / "w.pt")
    assert message.endswith("add --safe-global SCRIPT:Config, SCRIPT being the module that was run to train)")
    with allowing([f"{importable}:Config"]):
        load_weights(model, tmp_path / "w.pt")
    assert fits(model, source)


@pytest.mark.parametrize("wrap", [lambda module: module, lambda module: {"model": module, "epoch": 3}])
def test_a_pickled_module_with_all_its_classes_allowed(tmp_path: Path, wrap: Callable[[nn.Module], Any]) -> None:
    source, model = (nn.Sequential(nn.GRU(3, 4), nn.Tanh(), nn.Linear(4, 2)) for _ in range(2))
    torch.save(wrap(source), tmp_path / "w.pt")
    message = refusal(tmp_path / "w.pt", model)
    assert "which can run any code" in message
    with allowing(offered(message)):
        load_weights(model, tmp_path / "w.pt")
    assert fits(model, source)


class Trap:
    """Runs a function when it is unpickled without care."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("function", [os.system, exec, shutil.rmtree, torch.hub.load, nn.functional.softplus])
def test_no_way_out_is_offered_for_what_cannot_be_allowed(
    tmp_path: Path, function: Callable[..., Any], zipped: bool
) -> None:
    torch.save({"a": Trap(function, "x")}, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    message = refusal(tmp_path / "w.pt")
    assert f".{function.__name__})" in message
    assert "state_dict()" in message
    assert not offered(message)


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("os:system", "could run any code"),
        ("builtins:eval", "could run any code"),
        ("subprocess:Popen", "could run any code"),
        ("shutil:rmtree", "could run any code"),
        ("functools:reduce", "only classes can be"),
        ("numpy:load", "only classes can be"),
        ("argparse.Namespace", "not of the form module:name"),
        ("argparse:Nothing", "has no attribute 'Nothing'"),
        ("a_module_that_is_not_there:Config", "there is no module"),
    ],
)
def test_what_cannot_be_allowed(spec: str, complaint: str) -> None:
    before = set(torch.serialization.get_safe_globals())
    with pytest.raises(InputError) as caught:
        allowing([spec])
    assert complaint in str(caught.value)
    assert set(torch.serialization.get_safe_globals()) == before


def test_allowing_one_class_does_not_allow_another(tmp_path: Path) -> None:
    torch.save({"model": Net().state_dict(), "a": argparse.Namespace(x=1), "b": Path("x")}, tmp_path / "w.pt")
    with allowing(["argparse:Namespace"]):
        assert offered(refusal(tmp_path / "w.pt")) == ["pathlib:PosixPath"]


def test_pickles_that_torch_did_not_write_say_why(tmp_path: Path) -> None:
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(Net().state_dict()))
    assert "w.pkl is not a file of weights: Unsupported operand" in refusal(tmp_path / "w.pkl")


# -- programs --


def test_torchscript_and_exported_programs_by_their_content(tmp_path: Path) -> None:
    layer = nn.Linear(3, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(layer), tmp_path / "script.pt")
        torch.jit.save(torch.jit.trace(layer, torch.zeros(1, 3)), tmp_path / "trace.bin")
        torch.export.save(torch.export.export(layer, (torch.zeros(1, 3),)), tmp_path / "program.pt2")
    shutil.copy(tmp_path / "program.pt2", tmp_path / "renamed.pt")
    for name, kind in {
        "script.pt": "a TorchScript archive",
        "trace.bin": "a TorchScript archive",
        "program.pt2": "an exported program",
        "renamed.pt": "an exported program",
    }.items():
        message = refusal(tmp_path / name)
        assert f"{name} is {kind}, whose layers cannot be observed" in message
        assert "torch.save(model.state_dict(), PATH)" in message


# -- prefixes --


def test_the_part_under_a_prefix_beside_other_entries(tmp_path: Path) -> None:
    source, model = Net(), Net()
    state = {f"module.net.{key}": value for key, value in source.state_dict().items()} | {"ema.decay": torch.ones(1)}
    torch.save(state, tmp_path / "w.pt")
    load_weights(model, tmp_path / "w.pt")
    assert fits(model, source)


def test_a_misfit_under_a_prefix_is_told_without_it(tmp_path: Path) -> None:
    state = {f"model.{key}": value for key, value in Net(units=5).state_dict().items()}
    torch.save(state | {"loss.weight": torch.ones(2)}, tmp_path / "w.pt")
    message = refusal(tmp_path / "w.pt")
    assert "5 of another shape: rnn.weight_ih_l0 (15, 3) instead of (12, 3)" in message
    assert "loss.weight" not in message
