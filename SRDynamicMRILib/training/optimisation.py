"""The optimisation loop that main training and fine-tuning share."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoints import load_tensors, save_tensors
from ..errors import InputError
from ..progress import Progress

Batches = Callable[[int], tuple[Tensor, Tensor]]
"""Gives input and target ``(B, 1, d, h, w)`` of a step; the same step always gives the same batch."""

LossFunction = Callable[[Tensor, Tensor], Tensor]

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


def optimise(
    network: nn.Module,
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
) -> float:
    """Minimise the loss of a network in place with Adam.

    A step whose loss or gradient is not finite is left out (bfloat16 gradients of thin volumes can be such).

    Parameters
    ----------
    network
        The network; ends in evaluation mode on the CPU.
    batches
        Input and target of each step.
    loss
        Takes output and target.
    schedule
        How long and how fast.
    residual
        Whether the output is added to the input.
    device
        Where to compute.
    progress
        Told about every step.
    state_file
        Where to keep the state of an unfinished training; removed at the end.
    resume
        Whether to go on from the state file, if there is one.
    identity
        What the training depends on; a state of another training is refused.
    save_every
        Seconds between states.

    Returns
    -------
        Mean loss of the last tenth of the steps.

    Raises
    ------
    InputError
        If the state to resume belongs to another training, or the loss stops being finite.
    """
    network.to(device=device, memory_format=torch.channels_last_3d).train()  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(_parameter_groups(network, residual))
    identity = {**(identity or {}), "steps": str(schedule.steps)}
    done = 0
    losses: list[float] = []
    if resume and state_file is not None and state_file.exists():
        done, losses = _load_state(state_file, network, optimiser, identity)
        progress.log(f"Resuming after step {done}.")
    kept = max(1, schedule.steps // 10)
    saved = time.monotonic()
    skipped = 0
    updating = False
    try:
        for step in range(done, schedule.steps):
            for group in optimiser.param_groups:
                group["lr"] = schedule.rate(step) * group["share"]
            inputs, targets = (t.to(device, memory_format=torch.channels_last_3d) for t in batches(step))
            optimiser.zero_grad(set_to_none=True)
            output = network(inputs)
            value = loss(output + inputs if residual else output, targets)
            value.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(network.parameters(), _MAXIMUM_GRADIENT_NORM)
            updating = True
            if torch.isfinite(norm) and torch.isfinite(value):
                optimiser.step()
                losses = [*losses, value.item()][-max(kept, _SHOWN) :]
            else:
                skipped += 1
            done = step + 1
            updating = False
            if skipped > _MAXIMUM_SKIPPED + step // 10:
                message = "Training does not converge: the loss is not a finite number; lower the learning rate."
                raise InputError(message)
            if losses and (step % 10 == 0 or done == schedule.steps):
                recent = losses[-_SHOWN:]
                progress.loss(step, sum(recent) / len(recent))
            progress.step(done, schedule.steps)
            if state_file is not None and time.monotonic() - saved > save_every:
                _save_state(state_file, network, optimiser, done, losses, identity)
                saved = time.monotonic()
    except KeyboardInterrupt:
        if state_file is not None and done > 0 and not updating:  # half an update is no state to go on from
            _save_state(state_file, network, optimiser, done, losses, identity)
            progress.log(f"Stopped after step {done}; the same command with --resume goes on from there.")
        raise
    if skipped:
        progress.log(f"{skipped} steps were left out because their loss or gradient was not finite.")
    if state_file is not None:
        state_file.unlink(missing_ok=True)
    network.to("cpu").eval()
    last = losses[-kept:]
    return sum(last) / max(1, len(last))


def _parameter_groups(network: nn.Module, residual: bool) -> list[dict[str, Any]]:
    """Parameters by the share of the learning rate they get.

    A residual is some tens of times smaller than the image, so steps of the last layer must be small for the others to
    be large.
    """
    last = [p for name, p in network.named_parameters() if residual and name.startswith("last.")]
    others = [p for p in network.parameters() if all(p is not q for q in last)]
    groups = [{"params": others, "share": 1.0}, {"params": last, "share": _RESIDUAL_SHARE}]
    return [group for group in groups if group["params"]]


def _save_state(
    path: Path,
    network: nn.Module,
    optimiser: torch.optim.Adam,
    step: int,
    losses: list[float],
    identity: dict[str, str],
) -> None:
    tensors = {f"network.{name}": t for name, t in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        for key, value in optimiser.state[parameter].items():
            tensors[f"adam.{key}.{name}"] = value
    save_tensors(
        tensors, {_STATE_KEY: json.dumps({"step": step, "losses": losses, "identity": identity}, sort_keys=True)}, path
    )


def _load_state(
    path: Path, network: nn.Module, optimiser: torch.optim.Adam, identity: dict[str, str]
) -> tuple[int, list[float]]:
    tensors, metadata = load_tensors(path)
    try:
        content = json.loads(metadata[_STATE_KEY])
        if content["identity"] != identity:
            message = (
                f"{path} belongs to a training with other data or settings; "
                "remove it to start anew, or repeat the command that began it."
            )
            raise InputError(message)
        network.load_state_dict({k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")})
        for name, parameter in network.named_parameters():
            optimiser.state[parameter] = {
                key: _like(tensors[f"adam.{key}.{name}"], parameter if key != "step" else None)
                for key in ("step", "exp_avg", "exp_avg_sq")
            }
        return int(content["step"]), [float(value) for value in content["losses"]]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        message = f"{path} is not a usable training state; remove it to start anew."
        raise InputError(message) from error


def _like(tensor: Tensor, parameter: Tensor | None) -> Tensor:
    if parameter is None:
        return tensor
    return torch.empty_like(parameter, requires_grad=False).copy_(tensor)
