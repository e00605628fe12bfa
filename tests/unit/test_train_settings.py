"""A configuration says what it means, or one line says which key does not."""

from __future__ import annotations

import dataclasses

import pytest

from rnnreport.errors import InputError
from rnnreport.train.settings import Settings, plain, read_settings, settings_from

WHOLE = """
name = "a reader"
[data]
train = "reviews.tsv"
valid = "valid.tsv"
test = 0.2
tokenizer = "char"
sequence-length = 32
min-count = 2
classes = ["bad", "good"]
[model]
cell = "RNN"
units = 7
layers = 3
embedding = 5
direction = "both"
dropout = 0
[training]
epochs = 4
batch-size = 6
optimiser = "sgd"
learning-rate = 2
weight-decay = 0.1
momentum = 0.9
clip = 1
balance = "weights"
seeds = [3, 1]
threads = 2
[schedule]
kind = "plateau"
factor = 0.1
patience = 3
[stopping]
patience = 6
[record]
split = "valid"
max-steps = 99
budget = "full"
"""


@pytest.fixture
def read(tmp_path):
    def call(text: str, *overrides: str) -> Settings:
        (tmp_path / "c.toml").write_text(text, encoding="utf-8")
        return read_settings(tmp_path / "c.toml", overrides)

    return call


def test_every_key_arrives(read):
    settings = read(WHOLE)
    assert (settings.name, settings.data.train, settings.data.valid, settings.data.test) == (
        "a reader", "reviews.tsv", "valid.tsv", 0.2,
    )  # fmt: skip
    assert settings.data.classes == ("bad", "good")
    assert dataclasses.astuple(settings.model) == ("RNN", 7, 3, 5, "both", 0.0)
    assert isinstance(settings.model.dropout, float)
    fit = settings.training
    assert (fit.epochs, fit.batch_size, fit.optimiser, fit.learning_rate) == (4, 6, "sgd", 2.0)
    assert (fit.weight_decay, fit.momentum, fit.clip, fit.balance, fit.seeds, fit.threads) == (
        0.1, 0.9, 1.0, "weights", (3, 1), 2,
    )  # fmt: skip
    assert dataclasses.astuple(settings.schedule) == ("plateau", 0.1, 1, 3)
    assert settings.stopping is not None and settings.stopping.patience == 6
    assert dataclasses.astuple(settings.record) == ("valid", 99, "full")


def test_one_key_is_enough(read):
    settings = read('[data]\ntrain = "x.txt"')
    assert settings.stopping is None and settings.training.clip is None
    assert (settings.data.valid, settings.data.test, settings.training.seeds) == (0.1, 0.1, (0,))


@pytest.mark.parametrize("text", [WHOLE, '[data]\ntrain = "x.txt"', 'model.units = [7, 3]\n[data]\ntrain = "x.txt"'])
def test_settings_survive_their_plain_form(read, text):
    settings = read(text)
    assert settings_from(plain(settings), "again") == settings


def test_every_layer_may_have_a_size_of_its_own(read):
    assert read('model.units = [7, 3]\n[data]\ntrain = "x.txt"').model.units == (7, 3)


def test_overrides_are_toml_or_text(read):
    settings = read(
        WHOLE,
        "training.epochs=9",
        "data.train=other.tsv",
        'model.cell="GRU"',
        "training.seeds=[5]",
        "record.max-steps=3",
    )
    assert (settings.training.epochs, settings.data.train, settings.model.cell) == (9, "other.tsv", "GRU")
    assert (settings.training.seeds, settings.record.max_steps) == ((5,), 3)


@pytest.mark.parametrize("override", ["training.epochs", "name.first=x", "training.epochs.of=3", "=3", ".=2"])
def test_overrides_that_are_none(read, override):
    with pytest.raises(InputError):
        read(WHOLE, override)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("learning-rate = 1", ["unknown key 'learning-rate'", "at the top are data, name, model"]),
        ("[training]\nlearning_rate = 1", ["training.learning_rate", "did you mean 'learning-rate'", "weight-decay"]),
        ("[trainig]\nepochs = 1", ["'trainig'", "did you mean 'training'"]),
        ("[model]\nhidden = 1", ["'model.hidden'", "in [model] are cell, units"]),
        ("[model]\nunits = 0", ["model.units is 0", "from 1"]),
        ("[model]\nunits = true", ["model.units is True"]),
        ("[model]\nunits = []", ["model.units is []", "list of them"]),
        ("[model]\nunits = [3, 0]", ["model.units is [3, 0]"]),
        ("[model]\nunits = [3, 4]\nlayers = 2", ["model.layers has no effect", "a list"]),
        ("[model]\nunits = 2.0", ["model.units is 2.0", "whole number"]),
        ("[model]\ncell = 'lstm'", ["model.cell is 'lstm'", "'RNN', 'GRU', 'LSTM'"]),
        ("[model]\ndropout = 1.0", ["model.dropout is 1.0", "below 1"]),
        ("[training]\nlearning-rate = 0", ["training.learning-rate is 0", "above 0"]),
        ("[training]\nlearning-rate = 'eval(1)'", ["training.learning-rate is 'eval(1)'"]),
        ("[training]\nlearning-rate = inf", ["training.learning-rate is inf"]),
        (f"[training]\nlearning-rate = 1{'0' * 400}", ["training.learning-rate is 1000", "..."]),
        (f"[training]\nseeds = [{2**63}]", ["training.seeds is [9223372036854775808]"]),
        (f"[training]\nepochs = 1{'0' * 5000}", ["not TOML"]),
        ("[training]\nclip = nan", ["training.clip is nan"]),
        ("[training]\nseeds = 3", ["training.seeds is 3", "list"]),
        ("[training]\nseeds = []", ["training.seeds is []"]),
        ("[training]\nseeds = [1, 1]", ["training.seeds is [1, 1]", "different"]),
        ("[training]\nseeds = [-1]", ["training.seeds is [-1]"]),
        ("[training]\nseeds = [1.5]", ["training.seeds is [1.5]"]),
        ("training = 3", ["training is 3, not a table", "[training]"]),
        ("stopping = false", ["stopping is False, not a table"]),
        ("name = 3", ["name is 3", "text in quotes"]),
        ("[schedule]\nkind = 'step'\npatience = 2", ["schedule.patience has no effect", "'step'"]),
        ("[schedule]\nfactor = 0.5", ["schedule.factor has no effect", "'constant'"]),
        ("[training]\nmomentum = 0.5", ["training.momentum has no effect", "'adam'"]),
        ("name = ", ["not TOML", "line 1"]),
        (f"x = {'[' * 5000}", ["not TOML"]),
        (f"name = '{'x' * 70}'\nname = 'y'", ["not TOML"]),
    ],
)
def test_one_line_names_the_key(read, tmp_path, text, told):
    data = '\n[data]\ntrain = "x.txt"\n'
    with pytest.raises(InputError) as caught:
        read(text + data)
    line = str(caught.value)
    assert line.startswith(str(tmp_path / "c.toml")) and "\n" not in line
    for part in told:
        assert part in line


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "data is missing"),
        ("[data]", "data.train is missing"),
        ("[data]\ntrain = 1", "data.train is 1"),
        ("[data]\ntrain = 'x'\nvalid = 1.0", "data.valid is 1.0"),
        ("[data]\ntrain = 'x'\nvalid = ''", "data.valid is ''"),
        ("[data]\ntrain = 'x'\nvalid = 0.5\ntest = 0.5", "leave nothing to train on"),
        ("[data]\ntrain = 'x'\ntokenizer = 'os:system'", "data.tokenizer is 'os:system'"),
        ("[data]\ntrain = 'x'\nclasses = []", "data.classes is []"),
        ("[data]\ntrain = 'x'\nvocabulary = 'v.json'\nmin-count = 2", "data.min-count has no effect"),
    ],
)
def test_the_data_are_checked(read, text, told):
    with pytest.raises(InputError, match=told.replace("[", r"\[")):
        read(text)


def test_a_configuration_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_settings(tmp_path / "absent.toml")
