"""What the panel says of jobs and results, in words."""

from __future__ import annotations

from SRDynamicMRILib.errors import InputError

from ..jobs.job import Kind
from ..jobs.worker import Ending
from ..translation import _
from .choices import Choices
from .chosen_images import ImageFacts, InputFacts
from .durations import Estimates, TimeLeft, duration, result_voxels
from .panel_choices import Budget
from .reasons import why_not_frames


def budgets(prior: ImageFacts | None, device: str, estimates: Estimates) -> dict[str, str]:
    """What each budget is called and how long it takes here."""
    names = {budget.value: budget.label() for budget in Budget}
    if prior is None:
        return names
    text = _("{name} (about {time} on this computer)")
    times = {name: estimates.fine_tuning(name, device, prior) for name in names}
    return {key: text.format(name=name, time=duration(times[key])) for key, name in names.items()}


def super_resolution(inputs: InputFacts, choices: Choices, estimates: Estimates) -> str:
    """How much there is to super-resolve and how long it takes here."""
    series = inputs.series
    if series is None or why_not_frames(series, choices):
        return ""
    first, last = choices.frame_range(series.time_points)
    count = last - first + 1
    voxels = result_voxels(series, inputs.prior, choices.fraction_of(inputs))
    time = duration(estimates.super_resolution(choices.device, voxels, count))
    if count == 1:
        return _("1 time point, about {time} on this computer").format(time=time)
    return _("{count} time points, about {time} on this computer").format(count=count, time=time)


def progress(stage: str, left: TimeLeft) -> str:
    """How far a stage has come, with the time left."""
    stage = stage or _("Starting")
    if not left.total:
        return stage
    if left.seconds is None:
        return _("{stage}: {done} of {total}").format(stage=stage, done=left.done, total=left.total)
    return _("{stage}: {done} of {total}, about {time} left").format(
        stage=stage, done=left.done, total=left.total, time=duration(left.seconds)
    )


def notice(inputs: InputFacts) -> str:
    """What has to be said where results are shown."""
    if inputs.result is None:
        return ""
    sentence = _("AI-generated images. Not for diagnosis.")
    if inputs.fidelity is None:
        return sentence
    error, added = (f"{100 * share:.2f}%" for share in inputs.fidelity)
    text = _(
        "{notice} They differ from the acquired images by {error} where k-space was acquired; {added} lies beyond."
    )
    return text.format(notice=sentence, error=error, added=added)


def not_prepared(error: Exception) -> str:
    """Why the inputs of a job could not be written."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError):
        name = error.filename or _("A file")
        return _("{name} cannot be written: {reason}.").format(name=name, reason=error.strerror or error)
    return _("The inputs could not be prepared ({error}).").format(error=f"{type(error).__name__}: {error}")


def advice(ending: Ending) -> str:
    """What to do about a job that has not been completed."""
    if ending is Ending.NOT_STARTED:
        return _("Install the extension again, or restart the computer if that has been done.")
    if ending is Ending.CRASHED:
        return _("Memory may have run out: close other programs, choose the CPU as device or fewer time points.")
    if ending is Ending.REFUSED:
        return _("Put that right and press the button again.")
    return _("Look at the log; if it does not help, report it to the developers with the log.")


def doing(kind: Kind) -> str:
    """What goes on while a job runs."""
    texts = {
        Kind.FINE_TUNE: _("Fine-tuning the model on the planning scan."),
        Kind.SUPER_RESOLVE: _("Super-resolving the series; every time point is shown when it is ready."),
        Kind.EVALUATE: _("Comparing with the ground truth."),
        Kind.INTERPOLATE: _("Interpolating the series."),
        Kind.PHANTOM: _("Making the sample data."),
        Kind.DOWNSAMPLE: _("Making a low-resolution series."),
        Kind.IMPORT_MODEL: _("Importing the model."),
    }
    return texts[kind]


def done(kind: Kind) -> str:
    """What a complete job has made."""
    texts = {
        Kind.FINE_TUNE: _("The model is fine-tuned; now super-resolve the series."),
        Kind.SUPER_RESOLVE: _("The series is super-resolved."),
        Kind.EVALUATE: _("The result is compared with the ground truth."),
        Kind.INTERPOLATE: _("The series is interpolated."),
        Kind.PHANTOM: _("The sample data are ready."),
        Kind.DOWNSAMPLE: _("The low-resolution series is ready."),
        Kind.IMPORT_MODEL: _("The model is imported."),
    }
    return texts[kind]
