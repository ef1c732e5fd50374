"""What the panel says of jobs and results, in words."""

from __future__ import annotations

from SRDynamicMRILib.errors import InputError

from ..jobs.job import Kind
from ..jobs.worker import Ending
from ..translation import _
from .choices import Choices
from .chosen_images import ChosenImages, ImageFacts
from .durations import Estimates, TimeLeft, duration, result_voxels
from .panel_choices import TrainingBudget
from .reasons import why_not_time_points


def budgets(prior: ImageFacts | None, device: str, estimates: Estimates) -> dict[str, str]:
    """What each budget is called and how long it takes here."""
    names = {budget.value: budget.label() for budget in TrainingBudget}
    if prior is None:
        return names
    text = _("{name} (about {time} on this computer)")
    times = {name: estimates.fine_tuning(name, device, prior) for name in names}
    return {key: text.format(name=name, time=duration(times[key])) for key, name in names.items()}


def super_resolution(images: ChosenImages, choices: Choices, estimates: Estimates) -> str:
    """How much there is to super-resolve and how long it takes here."""
    series = images.series
    if series is None or why_not_time_points(series, choices):
        return ""
    first, last = choices.time_point_range(series.time_points)
    count = last - first + 1
    voxels = result_voxels(series, images.prior, choices.fraction_of(images))
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


def notice(images: ChosenImages) -> str:
    """What has to be said where results are shown."""
    if images.result is None:
        return ""
    sentence = _("AI-generated images. Not for diagnosis.")
    if images.consistency is None:
        return sentence
    residual, synthesised = (f"{100 * share:.2f}%" for share in images.consistency)
    text = _("{notice} Data-consistency residual {residual}; synthesised share {synthesised} (both RMS).")
    return text.format(notice=sentence, residual=residual, synthesised=synthesised)


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
        return _("Reinstall the extension. If that does not help, restart the computer.")
    if ending is Ending.CRASHED:
        return _("Memory may have run out. Close other programs, use the CPU as device, or choose fewer time points.")
    if ending is Ending.REFUSED:
        return _("Correct this and press the button again.")
    return _("Look at the log. If it does not help, report the problem with the log attached.")


def doing(kind: Kind) -> str:
    """What goes on while a job runs."""
    texts = {
        Kind.FINE_TUNE: _("Fine-tuning the model on the planning scan."),
        Kind.SUPER_RESOLVE: _("Super-resolving the series. Each time point is shown when it is ready."),
        Kind.EVALUATE: _("Comparing with the ground truth."),
        Kind.INTERPOLATE: _("Interpolating the series."),
        Kind.PHANTOM: _("Generating the sample data."),
        Kind.DOWNSAMPLE: _("Simulating a low-resolution series."),
        Kind.IMPORT_MODEL: _("Importing the model."),
    }
    return texts[kind]


def done(kind: Kind) -> str:
    """What a complete job has made."""
    texts = {
        Kind.FINE_TUNE: _("The model has been fine-tuned. Super-resolve the series next."),
        Kind.SUPER_RESOLVE: _("The series has been super-resolved."),
        Kind.EVALUATE: _("The result has been compared with the ground truth."),
        Kind.INTERPOLATE: _("The series has been interpolated."),
        Kind.PHANTOM: _("The sample data are ready."),
        Kind.DOWNSAMPLE: _("The low-resolution series is ready."),
        Kind.IMPORT_MODEL: _("The model has been imported."),
    }
    return texts[kind]
