"""Decides all that the panel shows and allows. It knows neither Qt nor MRML: the panel only shows its `View`."""

from __future__ import annotations

import enum
import shlex
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from SRDynamicMRILib.errors import InputError

from . import jobs
from .durations import BUDGETS, Estimates, TimeLeft, duration, result_voxels
from .inputs import ImageFacts, InputFacts
from .jobs import Job, Kind
from .loss_curve import LossCurve
from .panel_choices import Budget, TimePoints
from .signal import Signal
from .timer import Timer
from .translation import _
from .worker import LOG_LINES, Ending, Outcome, Worker
from .worker_events import Event, Frame, Log, Loss, Stage, Steps

REFRESH = 0.25
"""Seconds between two views while something runs, however much it tells."""

SHUT_DOWN = 3.0
"""Seconds that quitting or reloading waits for a worker to put its things in order."""

LAST_LINES = 5


class State(enum.Enum):
    """What the module is doing."""

    NO_INPUT = enum.auto()
    READY = enum.auto()
    FINE_TUNING = enum.auto()
    SUPER_RESOLVING = enum.auto()
    SIMULATING = enum.auto()
    """Makes data: the phantom, a low-resolution series, an imported model."""
    EVALUATING = enum.auto()
    CANCELLING = enum.auto()
    FAILED = enum.auto()
    DONE = enum.auto()


STATE_OF = {
    Kind.FINE_TUNE: State.FINE_TUNING,
    Kind.SUPER_RESOLVE: State.SUPER_RESOLVING,
    Kind.EVALUATE: State.EVALUATING,
    Kind.INTERPOLATE: State.EVALUATING,
    Kind.PHANTOM: State.SIMULATING,
    Kind.DOWNSAMPLE: State.SIMULATING,
    Kind.IMPORT_MODEL: State.SIMULATING,
}
RUNNING = frozenset(STATE_OF.values())

_SOURCES = ("prior", "series")
NEEDS: Mapping[Kind, tuple[str, ...]] = {
    Kind.FINE_TUNE: _SOURCES,
    Kind.SUPER_RESOLVE: _SOURCES,
    Kind.INTERPOLATE: _SOURCES,
    Kind.EVALUATE: ("truth", "result"),
    Kind.DOWNSAMPLE: ("series",),
    Kind.PHANTOM: (),
    Kind.IMPORT_MODEL: (),
}
"""Inputs without which a job's result has no place any more."""

_AFTER_RUNNING = frozenset({State.CANCELLING, State.FAILED, State.DONE})
TRANSITIONS: Mapping[State, frozenset[State]] = {
    # Without input one can still make some, or fail to.
    State.NO_INPUT: frozenset({State.READY, State.SIMULATING, State.FAILED}),
    State.READY: frozenset({State.NO_INPUT, State.FAILED}) | RUNNING,
    **dict.fromkeys(RUNNING, _AFTER_RUNNING),
    # What was finished before it could be cancelled is done.
    State.CANCELLING: frozenset({State.NO_INPUT, State.READY, State.DONE}),
    State.FAILED: frozenset({State.NO_INPUT, State.READY, State.FAILED}) | RUNNING,
    State.DONE: frozenset({State.NO_INPUT, State.READY, State.FAILED}) | RUNNING,
}


class RefusedError(RuntimeError):
    """Something was asked for that is not possible now; the message is the reason that the button's tooltip shows."""


def check_transition(before: State, after: State) -> None:
    """Raise `RuntimeError` if a state does not follow another."""
    if after not in TRANSITIONS[before]:
        message = f"{after.name} does not follow {before.name}"
        raise RuntimeError(message)


@dataclass(frozen=True)
class Choices:
    """What the user has set.

    Parameters
    ----------
    base_model
        File of the model to fine-tune or use; None for the shipped one.
    tuned_model, tuned_on
        File of the subject's fine-tuned model, and the id of the planning scan it was fine-tuned on; None and empty
        where there is none.
    use_tuned
        Whether to super-resolve with the fine-tuned model, where there is one.
    budget
        Of fine-tuning: quick, standard or paper.
    keep_contrast
        Whether the planning scan's intensities are never matched to the series.
    device
        auto, cpu, cuda:0, ...
    frames
        Time points to super-resolve.
    first, last
        The range of time points, numbered from 0, both included.
    shown
        The time point that the viewers show.
    fraction
        Share of in-plane k-space that the series holds, where nothing else tells.
    simulated_fraction
        Share of in-plane k-space that a simulated series keeps.
    seed
        Of everything random.
    """

    base_model: Path | None = None
    tuned_model: Path | None = None
    tuned_on: str = ""
    use_tuned: bool = True
    budget: str = "standard"
    keep_contrast: bool = False
    device: str = "auto"
    frames: TimePoints = TimePoints.ALL
    first: int = 0
    last: int = 0
    shown: int = 0
    fraction: float | None = None
    simulated_fraction: float = 0.0625
    seed: int = 0

    @property
    def model(self) -> Path | None:
        """File of the model to super-resolve with; None for the shipped one."""
        return self.tuned_model if self.use_tuned and self.tuned_model is not None else self.base_model

    def frame_range(self, time_points: int) -> tuple[int, int]:
        """First and last time point to super-resolve, in a series of so many."""
        ranges = {
            TimePoints.ALL: (0, time_points - 1),
            TimePoints.RANGE: (self.first, self.last),
            TimePoints.SHOWN: (self.shown, self.shown),
        }
        return ranges[self.frames]

    def frames_text(self) -> str:
        """The time points as the command line has them."""
        ranged, shown = f"{self.first}:{self.last + 1}", f"{self.shown}"
        return {TimePoints.ALL: "", TimePoints.RANGE: ranged, TimePoints.SHOWN: shown}[self.frames]


@dataclass(frozen=True)
class Files:
    """The files of a job: its inputs, written from the scene, and the name of its output.

    Parameters
    ----------
    output
        File or folder to make.
    prior, series, truth, result, checkpoint
        Inputs that the job needs.
    baselines
        Series to compare the result with, by name.
    """

    output: Path
    prior: Path | None = None
    series: Path | None = None
    truth: Path | None = None
    result: Path | None = None
    checkpoint: Path | None = None
    baselines: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Control:
    """Whether a control can be used, and if not, the reason for its tooltip."""

    reason: str = ""

    @property
    def enabled(self) -> bool:
        """Whether it can be used."""
        return not self.reason


@dataclass(frozen=True)
class View:
    """All that the panel shows, at one moment.

    Parameters
    ----------
    state, running
        What the module is doing; the job that runs, also while it is being cancelled.
    status
        The same in words.
    prior_text, series_text, truth_text, about_series
        The inputs in words.
    problems, warnings
        What is wrong with the inputs and choices, and what should be known about them, a sentence each.
    inputs, simulate, sample_data, import_model
        Selectors of images; the buttons that make data.
    base_model, budget, device, fine_tune
        Choices and button of fine-tuning.
    frames, super_resolve
        Choices and button of super-resolution.
    interpolate, evaluate, export
        Buttons of the comparison.
    cancel
        Button that stops what runs.
    budget_texts
        What each budget is called and how long it takes here.
    super_resolve_text
        How much there is to super-resolve and how long it takes here.
    progress, progress_text
        Share of the stage that is done, 0 to 1, None where only that something goes on is known; in words, with the
        time left; empty where nothing runs.
    loss
        Steps and losses of the latest fine-tuning.
    log
        Lines of the worker.
    failure, advice, last_lines
        Why the latest job failed, what to do, and the end of the log; empty unless it has failed.
    notice
        What has to be said where results are shown; empty where there are none.
    """

    state: State
    running: Kind | None
    status: str
    prior_text: str
    series_text: str
    truth_text: str
    about_series: str
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    inputs: Control
    simulate: Control
    sample_data: Control
    import_model: Control
    base_model: Control
    budget: Control
    device: Control
    fine_tune: Control
    frames: Control
    super_resolve: Control
    interpolate: Control
    evaluate: Control
    export: Control
    cancel: Control
    budget_texts: Mapping[str, str]
    super_resolve_text: str
    progress: float | None
    progress_text: str
    loss: tuple[tuple[int, float], ...]
    log: tuple[str, ...]
    failure: str
    advice: str
    last_lines: tuple[str, ...]
    notice: str


class Presenter:
    """Takes what the user does and the scene tells, runs jobs, and says what the panel shows.

    Parameters
    ----------
    new_worker
        Makes a worker with a process of its own.
    ensure_dependencies
        Makes sure that the worker has what it needs to run; returns why not in a sentence, empty if it has. It may show
        dialogs, so anything may happen before it returns.
    prepare
        Writes the inputs of a kind of job to files and names its output. Raises `InputError` or `OSError`.
    timer
        For refreshing the view.
    clock
        Gives seconds.
    settings
        Remembers how fast this computer is.
    """

    def __init__(
        self,
        new_worker: Callable[[], Worker],
        ensure_dependencies: Callable[[], str],
        prepare: Callable[[Kind], Files],
        timer: Timer,
        clock: Callable[[], float],
        settings: MutableMapping[str, object],
    ) -> None:
        self.changed: Signal[[View]] = Signal()
        """The panel has to show something else."""
        self.frame_ready: Signal[[int, Path]] = Signal()
        """A time point of the running job is ready as a file."""
        self.finished: Signal[[Job, dict[str, Path]]] = Signal()
        """A job is complete: what it made."""
        self.logged: Signal[[str]] = Signal()
        """The log has a line more."""
        self._new_worker, self._ensure_dependencies, self._prepare = new_worker, ensure_dependencies, prepare
        self._timer = timer
        self._estimates = Estimates(settings)
        self._time_left = TimeLeft(clock)
        self._state = State.NO_INPUT
        self._inputs = InputFacts()
        self._choices = Choices()
        self._worker: Worker | None = None
        self._job: Job | None = None
        self._needed: frozenset[tuple[str, str]] = frozenset()
        self._started_with = (self._choices, self._inputs)
        self._speed: float | None = None
        self._discarding = self._preparing = self._shut_down = False
        self._unfinished: Job | None = None
        self._resumes = False
        self._stage = self._message = self._failure = self._advice = ""
        self._told: dict[Kind, tuple[str, ...]] = {}
        self._curve = LossCurve()
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._shown: View | None = None
        self._call_off: Callable[[], None] | None = None

    # What the user does and the scene tells

    @property
    def state(self) -> State:
        """What the module is doing."""
        return self._state

    @property
    def choices(self) -> Choices:
        """What the user has set."""
        return self._choices

    @property
    def inputs(self) -> InputFacts:
        """What the scene has told about the inputs."""
        return self._inputs

    def set_inputs(self, inputs: InputFacts) -> None:
        """Take note of the inputs. A job that needs one that is gone is cancelled."""
        if inputs == self._inputs:
            return
        before, self._inputs = self._inputs, inputs
        if self._state in RUNNING:
            if self._job is not None and not self._needed <= _ids(inputs, NEEDS[self._job.kind]):
                self._message = _("An input of the computation is no longer there, so the computation was stopped.")
                self._unfinished = None
                self._cancel(discarding=True)
        elif self._state is not State.CANCELLING and _ids(before, _SOURCES) != _ids(inputs, _SOURCES):
            self._become_idle()
        if _ids(before, _SOURCES) != _ids(inputs, _SOURCES):
            self._told.clear()
        self._show()

    def set_choices(self, choices: Choices) -> None:
        """Take note of what the user has set."""
        self._choices = choices
        self._show()

    def fine_tune(self) -> None:
        """Fine-tune the base model on the planning scan.

        Raises
        ------
        RefusedError
            If that is not possible now; this and the following.
        """
        self._start(Kind.FINE_TUNE)

    def super_resolve(self) -> None:
        """Super-resolve the chosen time points."""
        self._start(Kind.SUPER_RESOLVE)

    def simulate(self) -> None:
        """Make a low-resolution series of the chosen one."""
        self._start(Kind.DOWNSAMPLE)

    def make_sample_data(self) -> None:
        """Make the phantom."""
        self._start(Kind.PHANTOM)

    def import_model(self) -> None:
        """Turn a published checkpoint into a model."""
        self._start(Kind.IMPORT_MODEL)

    def interpolate(self) -> None:
        """Bring the series to the planning scan's grid without learning, to compare the result with."""
        self._start(Kind.INTERPOLATE)

    def evaluate(self) -> None:
        """Compare the result with the ground truth."""
        self._start(Kind.EVALUATE)

    def cancel(self) -> None:
        """Stop what runs: what is finished of it is kept."""
        self._refuse(self._why_not_cancel())
        self._cancel(discarding=False)
        self._show()

    def close_scene(self) -> None:
        """Stop what runs, show none of its results, and forget the inputs."""
        self._unfinished = None
        self._inputs = InputFacts()
        if self._state in RUNNING:
            self._cancel(discarding=True)
        elif self._state is State.CANCELLING:
            self._discarding = True
        elif self._state is not State.NO_INPUT:
            self._enter(State.NO_INPUT)
        self._message = ""
        self._show()

    def shut_down(self) -> None:
        """End what runs, for good: the module is reloaded or the application quits."""
        self._shut_down = True
        if self._call_off is not None:
            self._call_off()
        for signal in (self.changed, self.frame_ready, self.finished, self.logged):
            signal.clear()
        if self._worker is not None:
            self._discarding = True
            self._worker.end(SHUT_DOWN)

    # Jobs

    def _start(self, kind: Kind) -> None:
        self._refuse(self._why_not(kind))
        self._preparing = True
        self._show()
        try:
            why_not = self._ensure_dependencies()
            # Dialogs were shown: the inputs may have gone meanwhile, and the module with them.
            if self._why_not(kind, preparing=True):
                return
            if why_not:
                self._fail(why_not, _("Nothing was computed; press the button again to try once more."))
                return
            job = self._build(kind, self._prepare(kind))
        except Exception as error:
            expected = isinstance(error, InputError | OSError)
            self._fail(_sentence(error), _("Put that right and press the button again."))
            if not expected:
                raise
            return
        finally:
            self._preparing = False
            self._show()
        if not self._why_not(kind):
            self._run(job)

    def _build(self, kind: Kind, files: Files) -> Job:
        """The job that the choices ask for."""
        c = self._choices
        if kind is Kind.FINE_TUNE:
            return jobs.fine_tune_job(
                _given(files.prior),
                _given(files.series),
                files.output,
                model=c.base_model,
                budget=c.budget,
                device=c.device,
                seed=c.seed,
                keep_contrast=c.keep_contrast,
            )
        if kind is Kind.SUPER_RESOLVE:
            return jobs.super_resolve_job(
                _given(files.series),
                files.output,
                model=c.model,
                prior=files.prior,
                fraction=self._fraction() if files.prior is None else None,
                frames=c.frames_text(),
                device=c.device,
                seed=c.seed,
            )
        if kind is Kind.EVALUATE:
            return jobs.evaluate_job(_given(files.result), _given(files.truth), files.output, baselines=files.baselines)
        if kind is Kind.INTERPOLATE:
            return jobs.interpolate_job(_given(files.series), files.output, like=_given(files.prior))
        if kind is Kind.DOWNSAMPLE:
            return jobs.downsample_job(_given(files.series), files.output, fraction=c.simulated_fraction)
        if kind is Kind.IMPORT_MODEL:
            return jobs.import_model_job(_given(files.checkpoint), files.output)
        return jobs.phantom_job(files.output, seed=c.seed)

    def _run(self, job: Job) -> None:
        self._resumes = job == self._unfinished
        self._unfinished = None
        if job.kind is Kind.FINE_TUNE and not self._resumes:
            self._curve = LossCurve()
        self._needed = _ids(self._inputs, NEEDS[job.kind])
        self._started_with = (self._choices, self._inputs)
        self._job = job
        self._told.pop(job.kind, None)
        self._discarding = False
        self._speed = None
        self._stage = self._message = self._failure = self._advice = ""
        self._time_left.restart()
        self._worker = worker = self._new_worker()
        worker.event.connect(self._on_event)
        worker.logged.connect(self._on_logged)
        worker.finished.connect(self._on_finished)
        started = job.resumed() if self._resumes else job
        self._on_logged("python " + shlex.join(started.arguments))
        self._enter(STATE_OF[job.kind])
        self._tick()
        worker.start(started)

    def _cancel(self, *, discarding: bool) -> None:
        self._discarding = discarding
        self._enter(State.CANCELLING)
        if self._worker is not None:
            self._worker.cancel()

    def _on_event(self, event: Event) -> None:
        if self._discarding:
            return
        if isinstance(event, Stage):
            self._stage = event.name
            self._speed = self._time_left.seconds_per_step or self._speed
            self._time_left.restart()
        elif isinstance(event, Steps):
            self._time_left.update(event.done, event.total)
        elif isinstance(event, Loss):
            self._curve.add(event.step, event.value)
        elif isinstance(event, Log) and event.warning and self._job is not None:
            self._told[self._job.kind] = (*self._told.get(self._job.kind, ()), event.warning)
        elif isinstance(event, Frame):
            self.frame_ready.emit(event.number, event.path)

    def _on_logged(self, line: str) -> None:
        self._log.append(line)
        self.logged.emit(line)

    def _on_finished(self, outcome: Outcome) -> None:
        job, discarding = self._job, self._discarding
        self._worker = self._job = None
        self._discarding = False
        if self._shut_down or job is None:
            return
        # What is left half done is gone on with, once: if that fails, the next start is anew.
        cancelled = outcome.ending is Ending.CANCELLED
        goes_on = job.can_be_resumed and not discarding and (cancelled or not self._resumes)
        if goes_on and outcome.ending is not Ending.COMPLETE:
            self._unfinished = job
        if discarding:
            self._enter(self._idle())
        elif outcome.ending is Ending.COMPLETE:
            self._learn(job)
            self._message = _done(job.kind)
            self._enter(State.DONE)
            self.finished.emit(job, outcome.outputs)
        elif cancelled:
            going_on = _("Cancelled. With the same choices, the next start goes on from here.")
            self._message = going_on if self._unfinished else _("Cancelled.")
            self._enter(self._idle())
        else:
            self._fail(outcome.sentence, _advice(outcome.ending))
        self._show()

    def _learn(self, job: Job) -> None:
        """Remember how fast it was; a job that has gone on had time points that took no time."""
        seconds = self._time_left.seconds_per_step or self._speed
        choices, inputs = self._started_with
        if seconds is None or self._resumes:
            return
        if job.kind is Kind.FINE_TUNE:
            self._estimates.learn_step(choices.budget, choices.device, seconds)
        elif job.kind is Kind.SUPER_RESOLVE and inputs.series is not None:
            voxels = result_voxels(inputs.series, inputs.prior, choices.fraction or inputs.fraction)
            self._estimates.learn_time_point(choices.device, voxels, seconds)

    def _fail(self, sentence: str, advice: str) -> None:
        self._failure, self._advice = sentence, advice
        self._enter(State.FAILED)

    # States

    def _enter(self, state: State) -> None:
        check_transition(self._state, state)
        self._state = state

    def _idle(self) -> State:
        """The state of having nothing to do, with these inputs."""
        return State.NO_INPUT if self._inputs.series is None else State.READY

    def _become_idle(self) -> None:
        """Leave the latest result or failure behind."""
        self._message = self._failure = self._advice = ""
        if self._state is not self._idle():
            self._enter(self._idle())

    def _fraction(self) -> float | None:
        return self._choices.fraction if self._choices.fraction is not None else self._inputs.fraction

    # What is possible

    def _refuse(self, reason: str) -> None:
        if reason:
            raise RefusedError(reason)

    def _busy(self, *, preparing: bool = False) -> str:
        """Why nothing can be started or changed now; empty if it can."""
        if self._shut_down:
            return _("The module is being closed.")
        if self._preparing and not preparing:
            return _("The computation is being prepared; wait a moment.")
        if self._state is State.CANCELLING:
            return _("The computation is being stopped; wait a moment.")
        if self._state in RUNNING:
            return _("A computation is running; wait for it or cancel it.")
        return ""

    def _why_not(self, kind: Kind, *, preparing: bool = False) -> str:
        """Why a job cannot be started now; empty if it can."""
        checks = {
            Kind.FINE_TUNE: self._why_not_fine_tune,
            Kind.SUPER_RESOLVE: self._why_not_super_resolve,
            Kind.EVALUATE: self._why_not_evaluate,
            Kind.INTERPOLATE: self._why_not_interpolate,
            Kind.DOWNSAMPLE: self._why_not_simulate,
        }
        check = checks.get(kind)
        return self._busy(preparing=preparing) or (check() if check else "")

    def _why_not_fine_tune(self) -> str:
        if self._inputs.prior is None:
            return _("Choose a planning scan first.")
        if self._choices.budget not in BUDGETS:
            return _("There is no budget named {name}; choose another.").format(name=self._choices.budget)
        return self._why_not_series()

    def _why_not_series(self) -> str:
        if self._inputs.series is None:
            return _("Choose a dynamic series first.")
        return next(iter(self._inputs.all_problems), "")

    def _why_not_super_resolve(self) -> str:
        reason = self._why_not_series()
        if reason or self._inputs.series is None:
            return reason
        if self._inputs.prior is None and self._fraction() is None:
            return _("Choose a planning scan, or the fraction of k-space, to say which resolution is wanted.")
        return self._why_not_frames(self._inputs.series)

    def _why_not_frames(self, series: ImageFacts) -> str:
        first, last = self._choices.frame_range(series.time_points)
        if 0 <= first <= last < series.time_points:
            return ""
        return _("Choose time points from 0 to {last}: the series has no others.").format(last=series.time_points - 1)

    def _why_not_interpolate(self) -> str:
        return _("Choose a planning scan first.") if self._inputs.prior is None else self._why_not_series()

    def _why_not_evaluate(self) -> str:
        if self._inputs.truth is None:
            return _("Choose a ground truth first.")
        if self._inputs.result is None:
            return _("Super-resolve the series first.")
        return next(iter(self._inputs.truth_problems), "")

    def _why_not_simulate(self) -> str:
        if self._inputs.series is None:
            return _("Choose a dynamic series first.")
        if not 0 < self._choices.simulated_fraction < 1:
            return _("Choose a share of k-space between 0 and 100%.")
        return ""

    def _why_not_cancel(self) -> str:
        if self._state is State.CANCELLING:
            return _("The computation is being stopped; wait a moment.")
        return "" if self._state in RUNNING else _("Nothing is running.")

    # What is shown

    @property
    def view(self) -> View:
        """What the panel has to show now."""
        inputs = self._inputs
        free = Control(self._busy())
        failed = self._state is State.FAILED
        running = self._worker is not None
        log = tuple(self._log)
        return View(
            state=self._state,
            running=self._job.kind if self._job is not None else None,
            status=self._status(),
            prior_text=inputs.prior.in_words() if inputs.prior else "",
            series_text=inputs.series.in_words() if inputs.series else "",
            truth_text=inputs.truth.in_words() if inputs.truth else "",
            about_series=inputs.about_series(),
            problems=inputs.all_problems + inputs.truth_problems,
            warnings=inputs.warnings + self._warnings(),
            inputs=free,
            simulate=Control(self._why_not(Kind.DOWNSAMPLE)),
            sample_data=Control(self._why_not(Kind.PHANTOM)),
            import_model=Control(self._why_not(Kind.IMPORT_MODEL)),
            base_model=free,
            budget=free,
            device=free,
            fine_tune=Control(self._why_not(Kind.FINE_TUNE)),
            frames=free,
            super_resolve=Control(self._why_not(Kind.SUPER_RESOLVE)),
            interpolate=Control(self._why_not(Kind.INTERPOLATE)),
            evaluate=Control(self._why_not(Kind.EVALUATE)),
            export=Control("" if inputs.compared else _("Compare the result with the ground truth first.")),
            cancel=Control(self._why_not_cancel()),
            budget_texts=self._budget_texts(),
            super_resolve_text=self._super_resolve_text(),
            progress=self._time_left.fraction if running else None,
            progress_text=self._progress_text() if running else "",
            loss=self._curve.points,
            log=log,
            failure=self._failure if failed else "",
            advice=self._advice if failed else "",
            last_lines=log[-LAST_LINES:] if failed else (),
            notice=self._notice(),
        )

    def _show(self) -> None:
        if not self._shut_down:
            view = self.view
            if view != self._shown:
                self._shown = view
                self.changed.emit(view)

    def _tick(self) -> None:
        """Show what has happened now and then, rather than at every word of the worker."""
        self._call_off = None
        if self._worker is not None or self._state in RUNNING:
            self._show()
            self._call_off = self._timer.call_later(REFRESH, self._tick)

    def _status(self) -> str:
        if self._state is State.FAILED:
            return self._failure
        if self._state is State.CANCELLING:
            return _("Stopping: what is finished is kept.")
        if self._state in RUNNING and self._job is not None:
            return _doing(self._job.kind)
        if self._message:
            return self._message
        if self._state is State.NO_INPUT:
            return _("Choose a planning scan and a dynamic series, or load the sample data.")
        return self._why_not(Kind.SUPER_RESOLVE) or _("Ready.")

    def _warnings(self) -> tuple[str, ...]:
        prior, choices = self._inputs.prior, self._choices
        uses_tuned = choices.use_tuned and choices.tuned_model is not None
        found = [sentence for told in self._told.values() for sentence in told]
        if uses_tuned and choices.tuned_on and (prior is None or prior.id != choices.tuned_on):
            found.append(_("The fine-tuned model was made for another planning scan than the one chosen."))
        found += self._inputs.result_warnings  # which keeps what the worker has told: some are there twice
        return tuple(dict.fromkeys(found))

    def _notice(self) -> str:
        """What has to be said where results are shown."""
        if self._inputs.result is None:
            return ""
        notice = _("AI-generated images. Not for diagnosis.")
        if self._inputs.fidelity is None:
            return notice
        error, added = (f"{100 * share:.2f}%" for share in self._inputs.fidelity)
        text = _(
            "{notice} They differ from the acquired images by {error} where k-space was acquired; {added} lies beyond."
        )
        return text.format(notice=notice, error=error, added=added)

    def _budget_texts(self) -> dict[str, str]:
        names = {budget.value: budget.label() for budget in Budget}
        prior = self._inputs.prior
        if prior is None:
            return names
        text = _("{name} (about {time} on this computer)")
        times = {name: self._estimates.fine_tuning(name, self._choices.device, prior) for name in names}
        return {key: text.format(name=name, time=duration(times[key])) for key, name in names.items()}

    def _super_resolve_text(self) -> str:
        series = self._inputs.series
        if series is None or self._why_not_frames(series):
            return ""
        first, last = self._choices.frame_range(series.time_points)
        count = last - first + 1
        voxels = result_voxels(series, self._inputs.prior, self._fraction())
        time = duration(self._estimates.super_resolution(self._choices.device, voxels, count))
        if count == 1:
            return _("1 time point, about {time} on this computer").format(time=time)
        return _("{count} time points, about {time} on this computer").format(count=count, time=time)

    def _progress_text(self) -> str:
        left, stage = self._time_left, self._stage or _("Starting")
        if not left.total:
            return stage
        if left.seconds is None:
            return _("{stage}: {done} of {total}").format(stage=stage, done=left.done, total=left.total)
        return _("{stage}: {done} of {total}, about {time} left").format(
            stage=stage, done=left.done, total=left.total, time=duration(left.seconds)
        )


def _ids(inputs: InputFacts, roles: tuple[str, ...]) -> frozenset[tuple[str, str]]:
    """The images that there are for some roles."""
    images: dict[str, ImageFacts | None] = {role: getattr(inputs, role) for role in roles}
    return frozenset((role, image.id) for role, image in images.items() if image is not None)


def _given(path: Path | None) -> Path:
    if path is None:
        raise TypeError("a file that the job needs was not prepared")
    return path


def _sentence(error: Exception) -> str:
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError):
        name = error.filename or _("A file")
        return _("{name} cannot be written: {reason}.").format(name=name, reason=error.strerror or error)
    return _("The inputs could not be prepared ({error}).").format(error=f"{type(error).__name__}: {error}")


def _advice(ending: Ending) -> str:
    """What to do about a job that has not been completed."""
    if ending is Ending.NOT_STARTED:
        return _("Install the extension again, or restart the computer if that has been done.")
    if ending is Ending.CRASHED:
        return _("Memory may have run out: close other programs, choose the CPU as device or fewer time points.")
    if ending is Ending.REFUSED:
        return _("Put that right and press the button again.")
    return _("Look at the log; if it does not help, report it to the developers with the log.")


def _doing(kind: Kind) -> str:
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


def _done(kind: Kind) -> str:
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
