"""The README's description of the run folder is enough to write one: without rnnreport, without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Performance, Sequences, Units

# a writer in another framework has neither rnnreport nor torch, and what follows a recording does not need torch
WITHOUT = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refuse())
"""

# an Elman network in NumPy that reads words of random sentences; "a" decides the class
WRITER = """
import json, os, pathlib
import numpy as np

run, rng = pathlib.Path(sys.argv[1]), np.random.default_rng(0)
vocabulary = ["a", "b", "c", "d"]
lengths = rng.integers(2, 7, 40).astype(np.int32)
tokens = rng.integers(0, 4, lengths.sum()).astype(np.int32)
offsets = np.concatenate([[0], np.cumsum(lengths)])
labels = np.array([int((tokens[offsets[n] : offsets[n + 1]] == 0).any()) for n in range(40)], np.int32)

def put(name, arrays, rest):
    path = run / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if arrays:
        np.savez(run / "new.npz", **arrays)
        os.replace(run / "new.npz", path.with_name(path.name + ".npz"))
    (run / "new.json").write_text(json.dumps(rest))
    os.replace(run / "new.json", path.with_name(path.name + ".json"))

put(
    "probe",
    {"lengths": lengths, "tokens": tokens, "values": np.zeros((0, 0), np.float32), "labels": labels,
     "targets": np.zeros(0, np.int32), "truths": np.zeros((0, 0), np.float32)},
    {"record": "Probe", "task": "classification", "sequence_ids": [f"s{n}" for n in range(40)],
     "vocabulary": vocabulary, "class_names": ["without", "with"], "feature_names": [], "sampled_from": 40},
)
embedding, recurrent, head = rng.normal(size=(4, 8)), rng.normal(size=(8, 8)) * 0.3, rng.normal(size=(8, 2))
for epoch in (1, 2, 3):
    recurrent, states = recurrent * 1.2, np.zeros((lengths.sum(), 8), np.float32)
    for n in range(40):
        h = np.zeros(8)
        for row in range(offsets[n], offsets[n + 1]):
            h = states[row] = np.tanh(embedding[tokens[row]] + h @ recurrent)
    scores = np.exp(states @ head)
    step_output = (scores / scores.sum(1, keepdims=True)).astype(np.float32)
    put(
        f"states/epoch-{epoch:06d}",
        {"states/mine.0.fwd.h": states, "step_output": step_output, "model_output": step_output[offsets[1:] - 1],
         "surprisal": np.zeros(0, np.float32), "top_tokens": np.zeros((0, 5), np.int32),
         "top_probabilities": np.zeros((0, 5), np.float32)},
        {"record": "Checkpoint", "epoch": epoch},
    )
    with open(run / "metrics.jsonl", "a") as stream:
        stream.write(json.dumps({"epoch": epoch, "loss": 1 / epoch}) + "\\n")
put(
    "run",
    {},
    {"name": "from elsewhere", "task": "classification",
     "model": {"cell": "RNN", "layers": 1, "units": 8, "bidirectional": False, "parameters": 112, "source": "NumPy",
               "weights_sha256": ""},
     "corpus": {"name": "sentences", "sequences": 40, "steps": int(lengths.sum()), "sha256": "", "skipped": {},
                "unknown_tokens": 0},
     "probe_sha256": "sentences of seed 0", "state_keys": ["mine.0.fwd.h"], "head": "The head is given each state.",
     "seed": 0, "versions": {"numpy": np.__version__}, "command": "none", "format_version": 1},
)
"""

COMMAND = """
from rnnreport.cli import main
sys.exit(main())
"""


def run_without(names: set[str], script: str, *arguments: str) -> None:
    program = WITHOUT.replace("{names}", repr(names)) + script
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_folder_from_elsewhere_is_analysed_and_rendered_without_torch(tmp_path: Path) -> None:
    run_without({"rnnreport", "torch"}, WRITER, str(tmp_path / "run"))
    run_without({"torch"}, COMMAND, "analyse", str(tmp_path / "run"))
    run_without({"torch"}, COMMAND, "render", str(tmp_path / "run"))
    folder = RunFolder.open(tmp_path / "run")
    checkpoint, probe = folder.checkpoint(3), folder.probe()
    performance = folder.result(Performance)
    assert isinstance(performance, Performance)
    right = checkpoint.model_output.argmax(1) == probe.labels
    assert performance.metrics["accuracy"]["value"] == right.mean()
    np.testing.assert_allclose(performance.history, [[1, 1 / 2, 1 / 3]])
    units, sequences = folder.result(Units, scope=0), folder.result(Sequences)
    assert isinstance(units, Units)
    assert units.scope == "mine.0.fwd.h"
    assert isinstance(sequences, Sequences)
    assert list(sequences.lengths) == [probe.lengths[place] for place in sequences.probe_index]
    assert "from elsewhere" in (tmp_path / "run" / "report.html").read_text()
