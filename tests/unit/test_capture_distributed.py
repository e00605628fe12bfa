"""Two processes train together: the first one records, none waits for it, and sharded models are refused."""

from __future__ import annotations

import multiprocessing
import random
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard

from rnnreport import InputError, Recorder, RecordingWarning, RunFolder
from rnnreport.load.corpus import Corpus, load_corpus

# one process imports torch once, and every test forks from it
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["torch.distributed.fsdp", "rnnreport.capture.recorder"])
PATIENCE_S = 60  # a collective operation in which the other rank takes no part fails, or is killed, after this


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.emb, self.rnn, self.fc = nn.Embedding(10, 5), nn.GRU(5, 6, batch_first=True), nn.Linear(6, 2)
        self.norm = nn.BatchNorm1d(2, affine=False)

    def forward(self, tokens: Tensor) -> Tensor:
        output: Tensor = self.norm(self.fc(self.rnn(self.emb(tokens))[0][:, -1]))
        return output


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    rng = random.Random(0)
    rows = [f"{n % 2}\t{' '.join(rng.choice('abcdefgh') for _ in range(3 + n % 4))}\n" for n in range(20)]
    (tmp_path / "a.tsv").write_text("label\ttext\n" + "".join(rows))
    return load_corpus(tmp_path / "a.tsv")


def on_two_ranks(work: Callable[..., None], store: Path, *arguments: Any) -> None:
    """Run ``work(rank, ...)`` in a group of two processes; neither may fail or hang."""
    ranks = [FORKS.Process(target=run_rank, args=(work, rank, store, *arguments)) for rank in (0, 1)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(PATIENCE_S + 30)
        process.kill()
        process.join()
    assert [process.exitcode for process in ranks] == [0, 0]


def run_rank(work: Callable[..., None], rank: int, store: Path, *arguments: Any) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=2, timeout=timedelta(seconds=PATIENCE_S)
    )
    work(rank, *arguments)
    torch.distributed.destroy_process_group()


def train(model: nn.Module, optimiser: torch.optim.Optimizer, rank: int) -> None:
    """One step on another batch for each rank."""
    tokens = torch.randint(10, (4, 5), generator=torch.Generator().manual_seed(rank))
    nn.functional.cross_entropy(model(tokens), torch.tensor([0, 1, 0, 1])).backward()
    optimiser.step()
    optimiser.zero_grad()


def train_replicas(rank: int, corpus: Corpus, path: Path) -> None:
    net = Net()
    model = nn.parallel.DistributedDataParallel(net)
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    recorder = Recorder(model, corpus, path)
    for epoch in (1, 2):
        train(model, optimiser, rank)
        recorder.epoch(epoch, loss=rank)
        recorder.record(epoch, loss=rank)
        torch.save(net.state_dict(), path.with_name(f"{rank}-{epoch}.pt"))


def test_only_the_first_rank_records_and_none_waits(corpus: Corpus, tmp_path: Path) -> None:
    """BatchNorm's buffers are broadcast in every forward pass of the wrapper, so recording through it would hang."""
    on_two_ranks(train_replicas, tmp_path / "store", corpus, tmp_path / "run")
    folder = RunFolder.open(tmp_path / "run")
    assert [(line["epoch"], line["loss"]) for line in folder.metrics()] == [(1, 0), (2, 0)]
    assert len((folder.path / "metrics.jsonl").read_text().splitlines()) == 4
    probe = folder.probe()
    for epoch in (1, 2):
        weights = [torch.load(tmp_path / f"{rank}-{epoch}.pt") for rank in (0, 1)]
        for name in dict(Net().named_parameters()):
            assert torch.equal(weights[0][name], weights[1][name])  # both trained on, together
        net = Net()
        net.load_state_dict(weights[0])
        with torch.no_grad():
            states = net.rnn(net.emb(torch.from_numpy(probe.tokens[: probe.lengths[0]]).long()[None]))[0][0]
        recorded = folder.checkpoint(epoch).states["rnn.0.fwd.h"][: probe.lengths[0]]
        np.testing.assert_allclose(recorded, states.numpy(), atol=1e-6)


def shard(net: nn.Module, kind: str) -> nn.Module:
    if kind == "fully_shard":
        mesh = init_device_mesh("cpu", (2,))
        fully_shard(net.fc, mesh=mesh)
        return fully_shard(net, mesh=mesh)
    original = kind == "original parameters"
    return FullyShardedDataParallel(net, use_orig_params=original, device_id=torch.device("cpu"))


def train_sharded(rank: int, corpus: Corpus, path: Path, kind: str) -> None:
    warnings.simplefilter("ignore")  # what torch says about its own sharding
    net = Net()
    early = Recorder(net, corpus, path)  # before the weights were taken apart
    model = shard(net, kind)
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    for refused in (model, net):  # the wrapper, and the module inside
        with pytest.raises(InputError, match=r"the model \(\w+\) has weights that are spread over several processes"):
            Recorder(refused, corpus, path)
    for epoch in (1, 2):
        train(model, optimiser, rank)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            early.epoch(epoch, loss=0.5)
        messages = [str(warning.message) for warning in caught if warning.category is RecordingWarning]
        assert len(messages) == (rank == 0)
        assert all("spread over several processes" in message for message in messages)
    train(model, optimiser, rank)


@pytest.mark.parametrize("kind", ["fully_shard", "original parameters", "flat parameter"])
def test_a_sharded_model_is_refused_and_trains_on(kind: str, corpus: Corpus, tmp_path: Path) -> None:
    on_two_ranks(train_sharded, tmp_path / "store", corpus, tmp_path / "run", kind)
    assert not (tmp_path / "run").exists()
