"""``sr-dynamic-mri train-perceptual``: the network behind the perceptual loss."""

from __future__ import annotations

from ..process.devices import device_named
from ..progress import Progress
from ..requests import TrainPerceptualRequest
from ..training.vessel_training import VesselTraining, save_encoder, train_vessel_network, unseen_dice
from .outputs import Outputs, alone_at_output, check_model_output, state_file


@alone_at_output(state_file)
def run(request: TrainPerceptualRequest, progress: Progress) -> Outputs:
    """Train the perceptual network."""
    check_model_output(request.output)
    task = VesselTraining(request.steps, request.seed, request.features)
    state = state_file(request.output)
    network = train_vessel_network(task, device_named(request.device), progress, state, request.resume)
    dice = unseen_dice(network, task.seed)
    save_encoder(network, task, dice, request.output)
    state.unlink(missing_ok=True)
    progress.log(f"Dice on {len(dice)} unseen angiograms: " + ", ".join(f"{value:.3f}" for value in dice) + ".")
    return {"model": request.output}
