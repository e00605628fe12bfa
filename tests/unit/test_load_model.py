"""Models and weights: what fits is loaded, what does not is named."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from rnnreport.errors import InputError
from rnnreport.load.files import sha256_of
from rnnreport.load.model import load_model
from rnnreport.load.weights import load_weights

FACTORIES = """
import torch
from torch import nn

def build(units=4):
    return nn.GRU(3, units).half()

def broken():
    raise ValueError("no luck")

def nothing():
    return 7

def poisoned():
    model = nn.Linear(2, 2)
    model.weight.data[0, 0] = float("nan")
    return model

ready = nn.Linear(2, 2)
"""


class Net(nn.Module):
    def __init__(self, units: int = 4) -> None:
        super().__init__()
        self.rnn = nn.GRU(3, units)
        self.fc = nn.Linear(units, 2)
        self.register_buffer("mask", torch.full((2,), -torch.inf))  # infinite on purpose, as attention masks are


@pytest.fixture
def factories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "factories_" + "".join(c for c in tmp_path.name if c.isalnum())
    (tmp_path / f"{name}.py").write_text(FACTORIES)
    (tmp_path / f"{name}_bad.py").write_text("import a_module_that_is_not_there")
    (tmp_path / f"{name}_exit.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", __import__("sys").path[:])
    return name


def test_factory_gives_a_float_model_in_eval_mode(factories: str, tmp_path: Path) -> None:
    torch.save(nn.GRU(3, 6).state_dict(), tmp_path / "w.pt")
    model = load_model(f"{factories}:build", {"units": 6}, tmp_path / "w.pt")
    assert not model.training
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("spec", "arguments", "complaint"),
    [
        ("{}", {}, "not of the form module:name"),
        ("{}:", {}, "not of the form module:name"),
        ("{}_none:build", {}, "there is no module"),
        ("{}.py:build", {}, "names a file, not a module (write factories"),
        ("./nets/{}.py:build", {}, "(write nets.factories"),
        ("{}:absent", {}, "has no attribute 'absent'"),
        ("{}:__name__", {}, "is str, not callable"),
        ("{}:ready", {}, "is a module already, not a factory"),
        ("{}:broken", {}, "fails: ValueError: no luck at factories"),
        ("{}:build", {"size": 3}, "unexpected keyword argument 'size'"),
        ("{}:nothing", {}, "returns int, not a torch.nn.Module"),
        ("{}:poisoned", {}, "weight has 1 of 4 values that are not finite"),
        ("{}_bad:build", {}, "No module named 'a_module_that_is_not_there'"),
        ("{}_exit:build", {}, "fails: SystemExit: 3"),
    ],
)
def test_wrong_factories(factories: str, spec: str, arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError) as caught:
        load_model(spec.format(factories), arguments, None)
    assert complaint in str(caught.value)


def fits(model: nn.Module, source: nn.Module) -> bool:
    expected = source.state_dict()
    return all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())


def prefixed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in state.items()}


WRAPPERS: list[Callable[[dict[str, Tensor]], Any]] = [
    lambda state: state,
    lambda state: {"state_dict": state, "epoch": 3},
    lambda state: {"model_state_dict": state, "optimizer": {"lr": 0.1, "state": {}}},
    lambda state: {"model": {"net": state}, "args": [1, "a"]},
    lambda state: prefixed(state, "module."),
    lambda state: prefixed(state, "_orig_mod."),
    lambda state: {"state_dict": prefixed(state, "model._orig_mod.module.")},
    lambda state: {key.replace("rnn.", "rnn._orig_mod."): value for key, value in state.items()},
]


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_state_dicts_in_all_their_wrappings(tmp_path: Path, wrap: Callable[[dict[str, Tensor]], Any]) -> None:
    source, model = Net(), Net()
    torch.save(wrap(source.state_dict()), tmp_path / "w.pt")
    assert not fits(model, source)
    load_weights(model, tmp_path / "w.pt")
    assert fits(model, source)


def test_prefix_stays_where_the_model_wants_it(tmp_path: Path) -> None:
    source, model = (nn.ModuleDict({"model": nn.Linear(2, 2)}) for _ in range(2))
    torch.save(source.state_dict(), tmp_path / "w.pt")
    load_weights(model, tmp_path / "w.pt")
    assert fits(model, source)


def test_safetensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, model = Net(), Net()
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    load_weights(model, tmp_path / "w.safetensors")
    assert fits(model, source)
    (tmp_path / "bad.safetensors").write_bytes(b"\x05")
    with pytest.raises(InputError, match="not a whole safetensors file"):
        load_weights(model, tmp_path / "bad.safetensors")
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    with pytest.raises(InputError, match=r"needs the package safetensors"):
        load_weights(model, tmp_path / "w.safetensors")


def test_misfit_names_the_keys_and_leaves_the_model(tmp_path: Path) -> None:
    state = Net(units=5).state_dict()
    state["extra"] = torch.zeros(1)
    del state["fc.bias"]
    torch.save(state, tmp_path / "w.pt")
    model = Net()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(InputError) as caught:
        load_weights(model, tmp_path / "w.pt")
    message = str(caught.value)
    assert "1 missing: fc.bias; 1 unexpected: extra; 5 of another shape: rnn.weight_ih_l0 (15, 3) instead of" in message
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_only_the_first_five_keys_are_named(tmp_path: Path) -> None:
    torch.save({f"w{number}": torch.zeros(1) for number in range(9)}, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"9 unexpected: w0, w1, w2, w3, w4 and 4 more"):
        load_weights(Net(), tmp_path / "w.pt")


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    state = Net().state_dict()
    state["fc.bias"][1] = torch.nan
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"fc\.bias has 1 of 2 values that are not finite"):
        load_weights(Net(), tmp_path / "w.pt")


def test_pickled_module_never_runs(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (Path(tmp_path / "sprung").touch, ())

    torch.save(nn.Linear(2, 2), tmp_path / "module.pt")
    with pytest.raises(InputError, match=r"holds pickled objects \(torch.*Linear.*state_dict\(\)"):
        load_weights(Net(), tmp_path / "module.pt")
    (tmp_path / "trap.pt").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match=r"not a file of weights|pickled objects"):
        load_weights(Net(), tmp_path / "trap.pt")
    assert not (tmp_path / "sprung").exists()


def test_files_that_hold_something_else(tmp_path: Path) -> None:
    for name, value in {"a.pt": torch.zeros(2), "b.pt": {"loss": 1.0}, "c.pt": {}, "d.pt": [1]}.items():
        torch.save(value, tmp_path / name)
        with pytest.raises(InputError, match="state dict"):
            load_weights(Net(), tmp_path / name)
    for name, data in {"e.pt": b"", "f.pt": b"garbage", "g.pt": b"PK\x03\x04 cut short"}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match="weights"):
            load_weights(Net(), tmp_path / name)
    with pytest.raises(InputError, match="do not exist"):
        load_weights(Net(), tmp_path / "absent.pt")


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
