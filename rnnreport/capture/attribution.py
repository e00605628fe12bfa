"""What each step of the input adds to an answer: integrated gradients, and occlusion as the check without gradients.

Both compare the input with a baseline, the mean input over the probe set. Integrated gradients add up the gradient
along the straight path from the baseline to the input, at Gauss-Legendre points, so that the parts should add up to the
difference of the two answers; where they do not to within ``tolerance``, more points are taken. Occlusion lets one
step at a time become the baseline. All points, and all occlusions, are copies of one sequence that run together;
torch's recurrent operations are taken apart (``unrolled.py``), so evaluation mode is no obstacle, on a GPU either.

Source: Sundararajan, Taly, Yan, Axiomatic Attribution for Deep Networks, 2017.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from rnnreport.budget import LEFT_OUT
from rnnreport.capture.batches import Batch, a_parameter, make_batch, step_budget
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.isolation import attributes_kept, untouched
from rnnreport.capture.losses import asked, losses, variances, why_unanswered
from rnnreport.capture.outputs import OutputReader
from rnnreport.capture.probe import hash_order
from rnnreport.capture.salience import weights_of_a_step
from rnnreport.capture.unrolled import Unrolled
from rnnreport.errors import InputError
from rnnreport.progress import track
from rnnreport.results.causes import Attribution
from rnnreport.results.recorded import NUMERIC, PER_SEQUENCE, Doubles, Floats, Probe


@dataclass(frozen=True)
class AttributionParams:
    """Sequences and steps at most, points of the path, when there are enough of them, multiplications (seconds).

    Longer sequences are left out where they have one answer, otherwise only their first ``steps`` are read.
    """

    sequences: int = 150
    steps: int = 200
    points: tuple[int, ...] = (16, 48, 144)
    tolerance: float = 0.005
    multiplications: float = 2e10


def read_attribution(
    model: nn.Module, probe: Probe, found: Inspection, epoch: int, params: AttributionParams | None = None
) -> Attribution:
    """Explain the answers to the first sequences by the hash of their ids; the model is left as it was.

    The answer that is explained: the predicted class; the most probable label; the quantity predicted furthest from its
    mean. Of a task with an answer at each step, what the model says at the step of the largest loss in the second half
    of the sequence, where there is something to look back on.

    Parameters
    ----------
    model : nn.Module
    probe : Probe
    found : Inspection
    epoch : int
    params : AttributionParams, optional
    """
    params = params or AttributionParams()
    reason = why_unanswered(probe) if params.multiplications else LEFT_OUT
    if reason or found.reader is None:
        return _nothing(epoch, reason or "the model's answers cannot be read")
    try:
        with torch.inference_mode(False), untouched(model), torch.enable_grad():
            return _explain(model, probe, found, epoch, params)
    except (InputError, RuntimeError) as error:  # of autograd: whatever it cannot differentiate
        return _nothing(epoch, " ".join(str(error).split()))


class _Between(Unrolled):
    """Lets what an embedding gives lie between its mean over the probe set (share 0) and what it is (share 1).

    Parameters
    ----------
    tokens : int64 (B, T)
    shares : Tensor (B, T)
    probe : Probe

    Attributes
    ----------
    apart : list of Tensor, input less baseline, shaped as the leaves: those of all steps, then those of single ones
    """

    def __init__(self, tokens: Tensor, shares: Tensor, probe: Probe) -> None:
        super().__init__(tokens)
        self._shares = shares
        kinds, counts = np.unique(probe.tokens, return_counts=True)
        self._kinds = torch.from_numpy(kinds.astype(np.int64)).to(tokens.device)
        self._weights = torch.from_numpy(counts / counts.sum()).to(tokens.device)[:, None]
        self.apart: list[Tensor] = []

    def _leaf(self, output: Tensor, weight: Tensor, shape: torch.Size, step: int | None) -> Tensor:
        mean = (weight.detach()[self._kinds].double() * self._weights).sum(0).to(output)
        whole = self._shares if shape == self._shares.shape else self._shares.T
        shares = whole if step is None else self._shares[:, step].reshape(shape)
        self.apart.append((output - mean).detach())
        return (mean + shares[..., None].to(output) * self.apart[-1]).requires_grad_()


@dataclass(frozen=True)
class _Run:
    """The numbers (B, T or none, K) that a model gives for copies, and by which inputs they can be differentiated."""

    predictions: Tensor
    batch: Batch
    leaves: list[Tensor]
    apart: list[Tensor]
    single: int  # so many leaves at the end are of one step each

    def by_step(self, numbers: Tensor) -> Doubles:
        """float64 (B, T): gradient times (input less baseline) of each step of each copy."""
        length = self.batch.steps.shape[1]
        found = np.zeros(self.batch.steps.shape)
        gradients = torch.autograd.grad(numbers.sum(), self.leaves, allow_unused=True)
        first = len(self.leaves) - self.single
        for place, (gradient, apart) in enumerate(zip(gradients, self.apart, strict=True)):
            if gradient is None:
                continue
            parts = (gradient.double() * apart.double()).sum(-1).cpu().numpy()
            if place >= first:
                found[:, place - first] += parts.reshape(-1)
            else:
                found += parts if parts.shape[1] == length else parts.T
        return found


def _explain(model: nn.Module, probe: Probe, found: Inspection, epoch: int, params: AttributionParams) -> Attribution:
    left = params.multiplications / weights_of_a_step(model, probe)
    places: list[int] = []
    done: list[_Explained] = []
    skipped = 0
    for place in track(hash_order(probe.sequence_ids)[: params.sequences], "what inputs add", params.sequences):
        length = int(probe.lengths[place])
        if length > params.steps and probe.task not in PER_SEQUENCE:
            length = params.steps
        cost = length * (length + 2 + 3 * params.points[0])
        if length > params.steps or cost > left:
            skipped += 1
            continue
        explained = _Explaining(model, probe, found, place, length).explain(params)
        if explained is not None:
            left -= cost
            places.append(place)
            done.append(explained)
    if not done:
        raise InputError("no sequence is short enough for a model of this size")
    return Attribution(
        epoch=epoch,
        sequences=np.array(places, np.int32),
        lengths=np.array([one.gradients.size for one in done], np.int32),
        answers=np.array([one.answer for one in done], np.int32),
        steps=np.array([one.step for one in done], np.int32),
        value=np.array([one.value for one in done], np.float32),
        baseline=np.array([one.baseline for one in done], np.float32),
        points=np.array([one.points for one in done], np.int32),
        gradients=np.concatenate([one.gradients for one in done]),
        occlusion=np.concatenate([one.occlusion for one in done]),
        skipped=skipped,
        reason="",
    )


@dataclass(frozen=True)
class _Explained:
    """One sequence."""

    answer: int
    step: int
    value: float
    baseline: float
    points: int
    gradients: Floats
    occlusion: Floats


class _Explaining:
    """One sequence, or its beginning, of a model."""

    def __init__(self, model: nn.Module, probe: Probe, found: Inspection, place: int, length: int) -> None:
        assert found.reader is not None
        self._model, self._probe, self._found, self._reader = model, probe, found, found.reader
        self._place, self._length = place, length

    def explain(self, params: AttributionParams) -> _Explained | None:
        """None where nothing is asked of the sequence."""
        length = self._length
        with torch.no_grad():
            run = self._run(np.stack([np.ones(length), np.zeros(length)]))
            chosen = self._choose(run)
            if chosen is None:
                return None
            answer, step = chosen
            value, baseline = self._numbers(run, answer, step).double().cpu().numpy()[:2].tolist()
            occlusion = value - np.concatenate(
                [
                    self._numbers(self._run(shares), answer, step).double().cpu().numpy()[: len(shares)]
                    for shares in self._parts(1 - np.eye(length))
                ]
            )
        gradients, count = np.zeros(length), 0
        for count in params.points:
            gradients = self._integrated(count, answer, step)
            if abs(gradients.sum() - (value - baseline)) <= params.tolerance * abs(value - baseline):
                break
        return _Explained(
            answer, step, value, baseline, count, gradients.astype(np.float32), occlusion.astype(np.float32)
        )

    def _integrated(self, count: int, answer: int, step: int) -> Doubles:
        """float64 (T,), by Gauss-Legendre quadrature over the path."""
        at, weights = np.polynomial.legendre.leggauss(count)
        by_step = []
        for shares in self._parts(np.repeat((at[:, None] + 1) / 2, self._length, axis=1)):
            run = self._run(shares)
            by_step.append(run.by_step(self._numbers(run, answer, step))[: len(shares)])
        return np.asarray(weights @ np.concatenate(by_step) / 2)

    def _parts(self, shares: Doubles) -> list[Doubles]:
        """As many copies at a time as there may be steps in a batch."""
        size = max(1, step_budget(self._probe) // self._length - 1)
        return [shares[start : start + size] for start in range(0, len(shares), size)]

    def _run(self, shares: Doubles) -> _Run:
        """The model on copies whose steps lie between the baseline and the input."""
        if len(shares) == self._length:  # so that a shape tells copies from steps
            shares = np.concatenate([shares, shares[:1]])
        like = a_parameter(self._model)
        batch = make_batch(self._probe, np.full(len(shares), self._place), like, self._length)
        between = torch.from_numpy(shares).to(like)
        watch: Unrolled
        if self._probe.continuous:
            mean = torch.from_numpy(self._probe.values.mean(axis=0, dtype=np.float64)).to(like)
            apart = batch.inputs - mean
            leaf = (mean + between[..., None] * apart).detach().requires_grad_()
            given, watch = replace(batch, inputs=leaf.clone()), Unrolled(None)
        else:
            given, watch = batch, _Between(batch.inputs, between, self._probe)
        with attributes_kept(self._model), watch:
            raw = self._found.convention.run(self._model, given)
        predictions = self._reader.predictions(raw, batch)
        if not isinstance(watch, _Between):
            return _Run(predictions, batch, [leaf], [apart], 0)
        if not watch.leaves and not watch.in_order():
            raise InputError("the tokens reach the model by no embedding (as one-hot vectors, for example)")
        return _Run(predictions, batch, [*watch.leaves, *watch.step_leaves], watch.apart, len(watch.step_leaves))

    def _choose(self, run: _Run) -> tuple[int, int] | None:
        """The answer that is explained, and its step."""
        probe, first = self._probe, slice(0, 1)
        batch = Batch(run.batch.sequences[first], run.batch.steps[first], run.batch.inputs[first])
        predictions = run.predictions[first]
        step = self._length - 1
        if probe.task not in PER_SEQUENCE:
            known = asked(probe, batch)[0].cpu()
            known[: self._length // 2] = False
            if not known.any():
                return None
            cost = losses(probe, self._reader, predictions, batch)[0].detach().cpu()
            step = int(torch.where(known, cost, -torch.inf).argmax())
            predictions = predictions[:, step]
        if probe.task in NUMERIC:
            means = np.nan_to_num(np.nanmean(probe.truths, axis=0, dtype=np.float64))
            far = (predictions[0].detach().cpu().double() - torch.from_numpy(means)).abs() / variances(probe).sqrt()
            return int(far.argmax()), step
        return int(self._reader.answers(predictions)[0].argmax()), step

    def _numbers(self, run: _Run, answer: int, step: int) -> Tensor:
        """(B,): the number of the answer for every copy."""
        predictions = run.predictions if self._probe.task in PER_SEQUENCE else run.predictions[:, step]
        return number_of(self._reader, predictions, answer)


def number_of(reader: OutputReader, predictions: Tensor, answer: int) -> Tensor:
    """The quantity, or the log odds of a class or a label in nats.

    Parameters
    ----------
    reader : OutputReader
    predictions : Tensor (B, K)
    answer : int

    Returns
    -------
    Tensor (B,)
    """
    if reader.form in ("quantities", "label-logits"):
        return predictions[:, answer]
    if reader.form == "label-probabilities":
        return torch.logit(predictions[:, answer], eps=1e-7)
    logarithms = reader.log_probabilities(predictions)
    others = torch.cat([logarithms[:, :answer], logarithms[:, answer + 1 :]], dim=1)
    return logarithms[:, answer] - others.logsumexp(dim=1)


def _nothing(epoch: int, reason: str) -> Attribution:
    none, floats = np.zeros(0, np.int32), np.zeros(0, np.float32)
    return Attribution(epoch, none, none, none, none, floats, floats, none, floats, floats, 0, reason)
