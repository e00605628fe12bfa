"""``rnnreport train``: what it leaves, prints and returns, also when it is killed; the configurations of its README."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Performance, Sequences, Units

CONFIG = """
[data]
train = "reviews.tsv"
valid = 0.2
test = 0.2
[model]
cell = "GRU"
units = 6
embedding = 4
dropout = 0.1
[training]
epochs = 3
batch-size = 8
learning-rate = 0.01
"""


def reviews(folder: Path, count: int = 60) -> None:
    source = random.Random(0)
    rows = []
    for _ in range(count):
        words = [source.choice(["good", "bad"]), *source.choices(["the", "film", "is", "so"], k=source.randint(2, 5))]
        rows.append(f"{' '.join(words)}\t{'positive' if words[0] == 'good' else 'negative'}")
    (folder / "reviews.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n")


def sentences(folder: Path) -> None:
    """Running text in three files, with words that only the later ones have."""
    source = random.Random(0)
    for name, count in (("train", 120), ("valid", 30), ("test", 30)):
        lines = [f"the {source.choice(['cat', 'dog'])} {source.choice(['sat', 'ran'])} far" for _ in range(count)]
        (folder / f"ptb.{name}.txt").write_text("\n".join([*lines, f"a {name} ends"]) + "\n")


@pytest.fixture
def config(tmp_path) -> Path:
    reviews(tmp_path)
    (tmp_path / "small.toml").write_text(CONFIG)
    return Path("small.toml")


def contents(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name not in ("metrics.jsonl", "run.json")}


def test_a_training_can_be_analysed_and_rendered(rnnreport, config):
    outcome = rnnreport("train", config)
    assert (outcome.code, outcome.out) == (0, "small\n")
    told = [line.split(":")[0] for line in outcome.err.splitlines() if "epoch" in line]
    assert told == ["epoch 1/3", "epoch 2/3", "epoch 3/3", "kept epoch 3"]
    assert RunFolder.open(Path("small")).epochs() == [0, 1, 2, 3]
    assert rnnreport("analyse", "small").code == 0
    assert rnnreport("render", "small").code == 0
    assert Path("small/report.html").stat().st_size > 500_000


def test_the_page_ends_at_the_epoch_whose_weights_were_kept_and_its_curves_go_on(rnnreport, config):
    changes = ("training.learning-rate=0.3", "training.epochs=30", "stopping.patience=2", "model.units=[6, 5]")
    options = [part for change in changes for part in ("--override", change)]
    outcome = rnnreport("train", config, "--report", *options)
    assert (outcome.code, outcome.out) == (0, "small/report.html\n")
    run = RunFolder.open(Path("small"))
    kept, last = run.epochs()[-1], run.recorded_epochs()[-1]
    assert kept + 2 == last < 30
    assert run.result(Sequences).epochs[-1] == run.result(Units, 0).epochs[-1] == kept
    assert run.result(Performance).history_epochs.tolist() == list(range(last + 1))
    page = Path("small/report.html").read_text()
    assert f"The training went on to epoch {last}." in page and f"those of epoch {kept}, where" in page
    assert "GRU, 2 layers of 6, 5 units" in page


def test_several_seeds_are_several_runs_with_reports(rnnreport, config):
    arguments = ["train", config, "--override", "training.seeds=[2, 7]", "--report", "--out", "both"]
    outcome = rnnreport("-q", *arguments)
    pages = [f"both/seed-{seed}/report.html" for seed in (2, 7)]
    assert (outcome.code, outcome.out.splitlines(), outcome.err) == (0, pages, "")
    assert [RunFolder.open(Path(page).parent).manifest().seed for page in pages] == [2, 7]
    weights = {(Path(page).parent / "weights.pt").read_bytes() for page in pages}
    assert len(weights) == 2
    assert rnnreport("compare", "both/seed-2", "both/seed-7", "--out", "compare.html").code == 0
    before = contents(Path("both"))
    again = rnnreport(*arguments)
    assert (again.code, again.out.splitlines()) == (0, pages)
    assert "finished before" in again.err
    assert contents(Path("both")) == before


def test_the_trained_net_reads_another_corpus(rnnreport, config):
    rnnreport("train", config)
    Path("other.tsv").write_text("text\tlabel\ngood film\tpositive\nunseen bad\tnegative\n")
    outcome = rnnreport(
        "capture", "--model", "rnnreport.train.manager:trained", "--model-arg", "run=small", "--corpus", "other.tsv",
        "--vocabulary", "small/vocabulary.json", "--classes", "negative,positive", "--out", "other",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert RunFolder.open(Path("other")).manifest().corpus["unknown_tokens"] == 1


def test_relative_files_count_from_the_configuration(rnnreport, config, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert rnnreport("train", "../small.toml", "--override", "training.epochs=1").out == "small\n"
    assert (tmp_path / "elsewhere" / "small" / "run.json").is_file()


@pytest.mark.parametrize(
    ("override", "told"),
    [
        (
            "training.epoch=3",
            ["small.toml", "'training.epoch'", "did you mean 'epochs'", "allowed in [training] are epochs"],
        ),
        ("training.epochs=0", ["small.toml", "training.epochs is 0"]),
        ("data.train=absent.tsv", ["absent.tsv does not exist"]),
        ("training.balance", ["TABLE.KEY=VALUE"]),
    ],
)
def test_a_wrong_configuration_is_one_line_and_two(rnnreport, config, tmp_path, override, told):
    before = sorted(tmp_path.iterdir())
    outcome = rnnreport("train", config, "--override", override)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == f"{outcome.error}\n"
    for part in told:
        assert part in outcome.error
    assert sorted(tmp_path.iterdir()) == before


def test_another_training_is_replaced_only_by_force(rnnreport, config):
    assert rnnreport("train", config).code == 0
    before = contents(Path("small"))
    refused = rnnreport("train", config, "--override", "model.units=7")
    assert refused.code == 2
    assert "model.units was 6, now 7" in refused.error and "--force" in refused.error
    assert contents(Path("small")) == before
    assert rnnreport("train", config, "--override", "model.units=7", "--force").code == 0
    assert RunFolder.open(Path("small")).manifest().model["units"] == 7


def test_all_folders_are_looked_at_before_the_first_training(rnnreport, config):
    rnnreport("train", config, "--out", "both/seed-1", "--override", "training.seeds=[1]")
    outcome = rnnreport(
        "train", config, "--out", "both", "--override", "training.seeds=[0, 1]", "--override", "model.units=9"
    )
    assert outcome.code == 2 and "seed-1 holds another training" in outcome.error
    assert not Path("both/seed-0").exists()


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize("name", ["small", "small/thesis.txt", "small/training.pt"])
def test_strangers_are_left_alone(rnnreport, config, name, force):
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text("years of work")
    if path.name == "training.pt":
        Path("small/notes.txt").write_text("a training of some other kind")
    outcome = rnnreport("train", config, *force)
    assert outcome.code == 2 and "left alone" in outcome.error
    assert path.read_text() == "years of work"


def test_what_a_kill_leaves_at_the_very_beginning_is_no_stranger(rnnreport, config):
    Path("small").mkdir()
    Path("small/.training.pt.abc.tmp").write_bytes(b"half")
    assert rnnreport("train", config).code == 0
    assert not list(Path("small").glob(".*"))


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_it_goes_on_to_the_same_bits_after_an_end(rnnreport, config, tmp_path, end):
    arguments = ["train", config, "--override", "training.epochs=30", "--override", "stopping.patience=30"]
    assert rnnreport(*arguments, "--out", "whole").code == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "rnnreport", *map(str, arguments), "--out", "cut"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "cut" / "states" / "epoch-000002.json").exists():
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()
        time.sleep(0.002)
    process.send_signal(end)
    out, err = process.communicate(timeout=60)
    assert out == "" and "Traceback" not in err
    assert (tmp_path / "cut" / "training.pt").is_file(), "it was finished before the signal came"
    if end == signal.SIGINT:
        assert process.returncode == 130
        told = [line for line in err.splitlines() if line]
        assert told[-2:] == ["the same command goes on where this one stopped", "rnnreport: interrupted"]
    outcome = rnnreport(*arguments, "--out", "cut")
    assert outcome.code == 0
    assert re.search(r"^goes on after epoch \d+$", outcome.err, re.MULTILINE)
    assert contents(Path("cut")) == contents(Path("whole"))
    whole, cut = ([{**line, "wall_s": 0} for line in RunFolder(Path(name)).metrics()] for name in ("whole", "cut"))
    assert cut == whole


def toml_blocks(root: Path) -> list[str]:
    text = (root / "README.md").read_text()
    return re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_readme_has_a_configuration_for_each_of_two_tasks(root):
    found = [tomllib.loads(block) for block in toml_blocks(root)]
    data = [block["data"]["train"] for block in found if "data" in block]
    assert data == ["ptb.train.txt", "reviews.tsv"]


@pytest.mark.parametrize("name", ["ptb", "sentiment"])
def test_the_configurations_of_the_readme_train(rnnreport, root, tmp_path, name):
    block = next(block for block in toml_blocks(root) if block.startswith(f"# {name}.toml\n"))
    (tmp_path / f"{name}.toml").write_text(block)
    reviews(tmp_path, 200)
    sentences(tmp_path)
    outcome = rnnreport("train", f"{name}.toml", "--override", "training.epochs=2", *["--report"] * (name == "ptb"))
    assert outcome.code == 0, outcome.err
    made = outcome.out.split()
    assert made == (["ptb/report.html"] if name == "ptb" else [f"sentiment/seed-{n}" for n in range(3)])
    for run in [Path("ptb")] if name == "ptb" else map(Path, made):
        log = json.loads((run / "training.json").read_text())
        losses = [scores["test_loss"] for scores in log["history"]]
        assert losses[-1] < losses[0]
