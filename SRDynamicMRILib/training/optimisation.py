"""The optimisation loop that main training and fine-tuning share."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..models.checkpoints import load_tensors, save_tensors
from ..networks.network import Network
from ..process.devices import is_out_of_memory
from ..process.distributed import is_first, mean_over_ranks, ranks
from ..process.precision import Precision
from ..progress import Progress

Batches = Callable[[int], tuple[Tensor, Tensor]]
"""Gives input and target ``(B, 1, d, h, w)`` of a step; the same step always gives the same batch."""

LossFunction = Callable[[Any, Tensor], Tensor]
"""Takes what the network gives, which may be several tensors, and the target."""

_STATE_KEY = "SRDynamicMRI training state"
_MAXIMUM_GRADIENT_NORM = 1.0
_RESIDUAL_SHARE = 0.1
_MAXIMUM_SKIPPED = 10
_SHOWN = 10  # steps that a reported loss is the mean of


@dataclass(frozen=True)
class Schedule:
    """Length and speed of a training.

    Parameters
    ----------
    steps
        Optimisation steps.
    learning_rate
        Adam's rate at the start.
    decay
        Whether the rate falls to zero along half a cosine.
    warm_up
        Steps over which the rate grows from nothing.
    """

    steps: int
    learning_rate: float
    decay: bool = True
    warm_up: int = 0

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        rate = self.learning_rate * min(1.0, (step + 1) / max(1, self.warm_up))
        return rate * 0.5 * (1 + math.cos(math.pi * step / self.steps)) if self.decay else rate


@dataclass(frozen=True)
class Validation:
    """Validation of a network during training, on images that it is not trained on.

    Parameters
    ----------
    score
        Gives figures by name for the network as it is; of the first, more is better. With several processes all must
        get the same figures.
    every
        Steps between two validations; there is one at the end as well.
    patience
        Early-stopping patience, in validations; None never stops early.
    """

    score: Callable[[Any], Mapping[str, float]]
    every: int
    patience: int | None = None


@dataclass
class TrainingRecord:
    """What has happened in a training.

    Parameters
    ----------
    steps
        Optimisation steps done.
    losses
        Losses of the latest steps.
    scores
        Figures of every validation, by the number of steps done before it.
    best
        Steps done before the best validation.
    """

    steps: int = 0
    losses: list[float] = field(default_factory=list)
    scores: dict[int, dict[str, float]] = field(default_factory=dict)
    best: int = 0

    @property
    def loss(self) -> float:
        """Mean of the latest losses."""
        return sum(self.losses) / max(1, len(self.losses))

    def is_better(self, score: Mapping[str, float]) -> bool:
        """Whether figures are better than the best so far."""
        first = next(iter(score))
        return self.best not in self.scores or score[first] > self.scores[self.best][first]

    def is_stuck(self, patience: int | None) -> bool:
        """Whether the latest `patience` validations have all been worse than an earlier one."""
        return patience is not None and sum(step > self.best for step in self.scores) >= patience


def optimise(
    network: Network,
    batches: Batches,
    loss: LossFunction,
    schedule: Schedule,
    *,
    residual: bool,
    device: torch.device,
    progress: Progress,
    state_file: Path | None = None,
    resume: bool = False,
    identity: Mapping[str, str] | None = None,
    save_every: float = 60.0,
    validation: Validation | None = None,
    distributed: bool = False,
    precision: Precision = "float32",
) -> TrainingRecord:
    """Minimise the loss of a network in place with Adam.

    A step whose loss or gradient is not finite is left out (bfloat16 gradients of thin volumes can be such).

    Parameters
    ----------
    network
        The network; ends in evaluation mode on the CPU, with the weights that were best in validation, if there is one.
    batches
        Input and target of each step.
    loss
        Takes output and target.
    schedule
        How long and how fast.
    residual
        Whether the network gives a residual; see `Network.prediction`.
    device
        Where to compute.
    progress
        Told about every step.
    state_file
        Where to keep the state of an unfinished training; it stays until the caller has made sure of the result.
    resume
        Whether to go on from the state file, if there is one.
    identity
        What the training depends on; a state of another training is refused.
    save_every
        Seconds between states.
    validation
        How to validate the network, and how often.
    distributed
        Whether all processes of ``torchrun`` train this one network, each with its own share of every batch.
    precision
        Of the network's convolutions. Patches of fewer than `Network.bfloat16_slices` are always computed in float32.

    Raises
    ------
    InputError
        If the state to resume belongs to another training, or the loss stops being finite.
    """
    network.to(device=device, memory_format=torch.channels_last_3d).train()  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(_parameter_groups(network, residual))
    identity = {**(identity or {}), "steps": str(schedule.steps)}
    state = _State(network, optimiser, identity)
    if resume and state_file is not None and state_file.exists():
        state.load(state_file)
        progress.log(f"Resuming after step {state.record.steps}.")
    record = state.record
    writes = state_file is not None and (not distributed or is_first())
    function = _parallel(network, device) if distributed else network
    kept = max(schedule.steps // 10, _SHOWN)
    saved = time.monotonic()
    skipped = 0
    updating = False
    before: list[Tensor] = []
    try:
        while True:
            if validation is not None:
                if _is_due(record, validation, schedule):
                    _validate(state, validation, progress)
                if record.is_stuck(validation.patience):
                    progress.log(f"Validation has not improved since step {record.best}, so training ends.")
                    break
            if record.steps >= schedule.steps:
                break
            for group in optimiser.param_groups:
                group["lr"] = schedule.rate(record.steps) * group["share"]
            inputs, targets = (t.to(device, memory_format=torch.channels_last_3d) for t in batches(record.steps))
            optimiser.zero_grad(set_to_none=True)
            before = [buffer.clone() for buffer in network.buffers()]
            thick = inputs.shape[2] >= network.bfloat16_slices
            try:
                with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16" and thick):
                    output = function(inputs)
                value = loss(network.prediction(inputs, output, residual), targets)
                value.backward()  # type: ignore[no-untyped-call]
            except RuntimeError as error:
                if not is_out_of_memory(error) or not network.save_memory():
                    raise
                progress.log(f"Not enough memory on {device}: feature maps are computed twice instead of being stored.")
                continue
            norm = nn.utils.clip_grad_norm_(network.parameters(), _MAXIMUM_GRADIENT_NORM)
            mean = (mean_over_ranks(value.detach()) if distributed else value.detach()).item()
            updating = True
            if math.isfinite(mean) and torch.isfinite(norm):
                optimiser.step()
                record.losses = [*record.losses, mean][-kept:]
            else:
                skipped += 1
                _set_buffers(network, before)
            record.steps += 1
            before = []
            updating = False
            if skipped > _MAXIMUM_SKIPPED + record.steps // 10:
                message = "Training does not converge: the loss is not a finite number; lower the learning rate."
                raise InputError(message)
            if record.losses and (record.steps % 10 == 1 or record.steps == schedule.steps):
                recent = record.losses[-_SHOWN:]
                progress.loss(record.steps - 1, sum(recent) / len(recent))
            progress.step(record.steps, schedule.steps)
            if writes and state_file is not None and time.monotonic() - saved > save_every:
                state.save(state_file)
                saved = time.monotonic()
    except KeyboardInterrupt:
        if writes and state_file is not None and record.steps > 0 and not updating:
            _set_buffers(network, before)
            state.save(state_file)  # half an update is no state to go on from
            progress.log(f"Stopped after step {record.steps}; the same command with --resume goes on from there.")
        raise
    if skipped:
        progress.log(f"{skipped} steps were skipped because their loss or gradient was not finite.")
    network.to("cpu").eval()
    if state.best:
        network.load_state_dict(state.best)
    return record


def _parallel(network: nn.Module, device: torch.device) -> nn.Module:
    """The network, its gradients averaged over all processes."""
    if ranks() == 1:
        return network
    return nn.parallel.DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)


def _set_buffers(network: nn.Module, values: Iterable[Tensor]) -> None:
    """Put batch statistics back to what they were: the forward pass of a step that is not done has changed them."""
    for buffer, value in zip(network.buffers(), values, strict=False):  # there may be none to put back
        buffer.copy_(value)


def _is_due(record: TrainingRecord, validation: Validation, schedule: Schedule) -> bool:
    """Whether a validation is due that was not done yet (by the run that is resumed)."""
    if record.steps == 0 or record.steps in record.scores:
        return False
    return record.steps % validation.every == 0 or record.steps >= schedule.steps


def _validate(state: _State, validation: Validation, progress: Progress) -> None:
    """Validate the network as it is and keep its weights if they are the best so far."""
    record = state.record
    device = next(state.network.parameters()).device
    score = dict(validation.score(state.network))
    state.network.to(device=device, memory_format=torch.channels_last_3d).train()  # type: ignore[call-overload]
    if record.is_better(score):
        record.best = record.steps
        state.best = {name: t.detach().cpu().clone() for name, t in state.network.state_dict().items()}
    record.scores[record.steps] = score
    progress.validation(record.steps, score)


def _parameter_groups(network: Network, residual: bool) -> list[dict[str, Any]]:
    """Parameters by the share of the learning rate they get.

    A residual is some tens of times smaller than the image, so steps of the last layer must be small for the others to
    be large.
    """
    last = list(network.last.parameters()) if residual else []
    others = [p for p in network.parameters() if all(p is not q for q in last)]
    groups = [{"params": others, "share": 1.0}, {"params": last, "share": _RESIDUAL_SHARE}]
    return [group for group in groups if group["params"]]


class _State:
    """Everything that a training which goes on later needs, on disk and back.

    Parameters
    ----------
    network, optimiser
        Their weights and moments are saved, and set by `load`.
    identity
        What the training depends on; a file of another one is refused.
    """

    def __init__(self, network: nn.Module, optimiser: torch.optim.Adam, identity: Mapping[str, str]) -> None:
        self.network, self.optimiser, self.identity = network, optimiser, dict(identity)
        self.record = TrainingRecord()
        self.best: dict[str, Tensor] = {}

    def save(self, path: Path) -> None:
        """Write all to a file, complete or not at all."""
        tensors = {f"network.{name}": t for name, t in self.network.state_dict().items()}
        tensors |= {f"best.{name}": t for name, t in self.best.items()}
        for name, parameter in self.network.named_parameters():
            for key, value in self.optimiser.state[parameter].items():
                tensors[f"adam.{key}.{name}"] = value
        content = {"record": asdict(self.record), "identity": self.identity}
        save_tensors(tensors, {_STATE_KEY: json.dumps(content, sort_keys=True)}, path)

    def load(self, path: Path) -> None:
        """Set all from a file.

        Raises
        ------
        InputError
            If it belongs to another training or is damaged.
        """
        tensors, metadata = load_tensors(path)
        try:
            content = json.loads(metadata[_STATE_KEY])
            if content["identity"] != self.identity:
                message = (
                    f"{path} belongs to a training with other data or settings; "
                    "remove it to start anew, or repeat the command that began it."
                )
                raise InputError(message)
            self.network.load_state_dict(_under("network.", tensors))
            self.best = _under("best.", tensors)
            for name, parameter in self.network.named_parameters():
                self.optimiser.state[parameter] = {
                    key: _like(tensors[f"adam.{key}.{name}"], parameter if key != "step" else None)
                    for key in ("step", "exp_avg", "exp_avg_sq")
                }
            record = content["record"]
            self.record = TrainingRecord(
                steps=int(record["steps"]),
                losses=[float(value) for value in record["losses"]],
                scores={int(step): dict(score) for step, score in record["scores"].items()},
                best=int(record["best"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError) as error:
            if isinstance(error, InputError):
                raise
            message = f"{path} is not a usable training state; remove it to start anew."
            raise InputError(message) from error


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _like(tensor: Tensor, parameter: Tensor | None) -> Tensor:
    if parameter is None:
        return tensor
    return torch.empty_like(parameter, requires_grad=False).copy_(tensor)
