"""Decides all that the panel shows and allows. It knows neither Qt nor MRML: the panel only shows its `content`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, MutableMapping
from functools import partial
from pathlib import Path

from SRDynamicMRILib.errors import InputError

from ..jobs.job import Job, Kind
from ..jobs.worker import LOG_LINES, Ending, Outcome, Worker
from ..jobs.worker_events import Event, Frame, Log, Loss, Stage, Steps
from ..signal import Signal
from ..step_queue import Stepwise
from ..timer import Timer
from ..translation import _
from . import reasons, sentences
from .choices import Choices
from .chosen_images import ChosenImages, ImageFacts
from .chosen_job import Files, chosen_job
from .durations import Estimates, TimeLeft, result_voxels
from .loss_curve import LossCurve
from .panel_content import Control, PanelContent
from .states import RUNNING, STATE_OF, State, check_transition

REFRESH = 0.25
"""Seconds between two views while something runs, however much it tells."""

SHUT_DOWN = 3.0
"""Seconds that quitting or reloading waits for a worker to put its things in order."""

LAST_LINES = 5


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


class RefusedError(RuntimeError):
    """Something was asked for that is not possible now; the message is the reason that the button's tooltip shows."""


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
        Writes the inputs of a kind of job to files, in steps, and names its output. Raises `InputError` or `OSError`.
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
        prepare: Callable[[Kind], Stepwise[Files]],
        timer: Timer,
        clock: Callable[[], float],
        settings: MutableMapping[str, object],
    ) -> None:
        self.changed: Signal[[PanelContent]] = Signal()
        """The panel has to show something else."""
        self.frame_ready: Signal[[int, Path, str]] = Signal()
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
        self._images = ChosenImages()
        self._choices = Choices()
        self._worker: Worker | None = None
        self._job: Job | None = None
        self._kind: Kind | None = None
        self._preparation: Stepwise[Job] | None = None
        self._needed: frozenset[tuple[str, str]] = frozenset()
        self._started_with = (self._choices, self._images)
        self._speed: float | None = None
        self._discarding = self._asking = self._bringing = self._shut_down = False
        self._unfinished: Job | None = None
        self._resumes = False
        self._stage = self._message = self._failure = self._advice = self._complaint = ""
        self._told: dict[Kind, tuple[str, ...]] = {}
        self._curve = LossCurve()
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._shown: PanelContent | None = None
        self._call_off: Callable[[], None] | None = None
        self._call_off_preparing: Callable[[], None] | None = None

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
    def images(self) -> ChosenImages:
        """What the scene has told about the inputs."""
        return self._images

    def set_images(self, images: ChosenImages) -> None:
        """Take note of the inputs. A job that needs one that is gone is cancelled."""
        if images == self._images:
            return
        before, self._images = self._images, images
        if self._state in RUNNING:
            if self._kind is not None and not self._needed <= _ids(images, NEEDS[self._kind]):
                self.give_up(_("An input was removed, so the computation was stopped."))
        elif self._state is not State.CANCELLING and _ids(before, _SOURCES) != _ids(images, _SOURCES):
            self._become_idle()
        if _ids(before, _SOURCES) != _ids(images, _SOURCES):
            self._told.clear()
            self._complaint = ""
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

    def give_up(self, sentence: str) -> None:
        """Stop what runs, as nothing can come of it any more; the sentence says why."""
        if self._state in RUNNING:
            self._message = sentence
            self._unfinished = None
            self._cancel(discarding=True)
            self._show()

    def bring_in(self, bringing: bool) -> None:
        """Take note whether what jobs have made is still being brought into the scene: nothing is started meanwhile."""
        self._bringing = bringing
        self._show()

    def complain(self, sentence: str) -> None:
        """Say what could not be done in the scene; an empty sentence takes that back.

        Where it follows on a complete job, what that has made could not be brought in: then the job has failed.
        """
        self._complaint = sentence
        if sentence and self._state is State.DONE and self._bringing:
            self._complaint = ""
            self._fail(sentence, _("Correct this and press the button again."))
        self._show()

    def close_scene(self) -> None:
        """Stop what runs, show none of its results, and forget the inputs."""
        self._unfinished = None
        self._images = ChosenImages()
        self._bringing, self._complaint = False, ""
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
        self._preparation = None
        for call_off in (self._call_off, self._call_off_preparing):
            if call_off is not None:
                call_off()
        for signal in (self.changed, self.frame_ready, self.finished, self.logged):
            signal.clear()
        if self._worker is not None:
            self._discarding = True
            self._worker.end(SHUT_DOWN)

    # Jobs

    def _start(self, kind: Kind) -> None:
        self._refuse(self._why_not(kind))
        self._asking = True
        self._show()
        try:
            why_not = self._ensure_dependencies()
        except Exception as error:
            self._fail_to_prepare(error)
            return
        finally:
            self._asking = False
            self._show()
        # Dialogs were shown: the inputs may have gone meanwhile, and the module with them.
        if self._why_not(kind):
            return
        if why_not:
            self._fail(why_not, _("Nothing was computed. Press the button to try again."))
            self._show()
            return
        self._kind = kind
        self._needed = _ids(self._images, NEEDS[kind])
        self._started_with = (self._choices, self._images)
        self._discarding = self._resumes = False
        self._speed = None
        self._message = self._failure = self._advice = self._complaint = ""
        self._stage = _("Writing the inputs")
        self._time_left.restart()
        self._told.pop(kind, None)
        self._enter(STATE_OF[kind])
        self._preparation = self._prepared(kind)
        self._go_on_preparing(self._preparation)
        self._tick()

    def _prepared(self, kind: Kind) -> Stepwise[Job]:
        choices, images = self._started_with
        files = yield from self._prepare(kind)
        return chosen_job(kind, files, choices, choices.fraction_of(images))

    def _go_on_preparing(self, preparation: Stepwise[Job]) -> None:
        """Write a part of the inputs; once all are written, begin."""
        if self._preparation is not preparation:  # it was cancelled
            return
        try:
            next(preparation)
        except StopIteration as end:
            if self._preparation is preparation:  # it may have asked the user something, and all may have gone then
                self._preparation = None
                self._run(end.value)
        except Exception as error:
            if self._preparation is preparation:
                self._fail_to_prepare(error)
        else:
            self._call_off_preparing = self._timer.call_later(0, partial(self._go_on_preparing, preparation))

    def _fail_to_prepare(self, error: Exception) -> None:
        self._preparation = self._kind = None
        self._fail(sentences.not_prepared(error), _("Correct this and press the button again."))
        self._show()
        if not isinstance(error, InputError | OSError):
            raise error

    def _run(self, job: Job) -> None:
        self._resumes = job == self._unfinished
        self._unfinished = None
        if job.kind is Kind.FINE_TUNE and not self._resumes:
            self._curve = LossCurve()
        self._job = job
        self._stage = ""
        self._worker = worker = self._new_worker()
        worker.event.connect(self._on_event)
        worker.logged.connect(self._on_logged)
        worker.finished.connect(self._on_finished)
        started = job.resumed() if self._resumes else job
        self._on_logged(started.request.to_json())
        self._show()
        worker.start(started)

    def _cancel(self, *, discarding: bool) -> None:
        self._discarding = discarding
        self._enter(State.CANCELLING)
        if self._worker is not None:
            self._worker.cancel()
        else:  # its inputs are still being written
            self._preparation = self._kind = None
            self._discarding = False
            self._message = self._message or _("Cancelled.")
            self._enter(self._idle())

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
            self.frame_ready.emit(event.number, event.path, event.model)

    def _on_logged(self, line: str) -> None:
        self._log.append(line)
        self.logged.emit(line)

    def _on_finished(self, outcome: Outcome) -> None:
        job, discarding = self._job, self._discarding
        self._worker = self._job = self._kind = None
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
            self._message = sentences.done(job.kind)
            self._enter(State.DONE)
            self.finished.emit(job, outcome.outputs)
        elif cancelled:
            going_on = _("Cancelled. With the same settings, the next start continues from here.")
            self._message = going_on if self._unfinished else _("Cancelled.")
            self._enter(self._idle())
        else:
            self._fail(outcome.sentence, sentences.advice(outcome.ending))
        self._show()

    def _learn(self, job: Job) -> None:
        """Remember how fast it was; a job that has gone on had time points that took no time."""
        seconds = self._time_left.seconds_per_step or self._speed
        choices, images = self._started_with
        if seconds is None or self._resumes:
            return
        if job.kind is Kind.FINE_TUNE:
            self._estimates.learn_step(choices.budget, choices.device, seconds)
        elif job.kind is Kind.SUPER_RESOLVE and images.series is not None:
            voxels = result_voxels(images.series, images.prior, choices.fraction or images.fraction)
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
        return State.NO_INPUT if self._images.series is None else State.READY

    def _become_idle(self) -> None:
        """Leave the latest result or failure behind."""
        self._message = self._failure = self._advice = ""
        if self._state is not self._idle():
            self._enter(self._idle())

    # What is possible

    def _refuse(self, reason: str) -> None:
        if reason:
            raise RefusedError(reason)

    def _busy(self) -> str:
        """Why nothing can be started or changed now; empty if it can."""
        if self._shut_down:
            return _("The module is being closed.")
        if self._asking:
            return _("The computation is being prepared; wait a moment.")
        if self._state is State.CANCELLING:
            return _("The computation is being stopped; wait a moment.")
        if self._state in RUNNING:
            return _("A computation is running; wait for it or cancel it.")
        if self._bringing:
            return _("The result is being loaded into the scene; wait a moment.")
        return ""

    def _why_not(self, kind: Kind) -> str:
        """Why a job cannot be started now; empty if it can."""
        return self._busy() or reasons.why_not(kind, self._images, self._choices)

    def _why_not_cancel(self) -> str:
        if self._state is State.CANCELLING:
            return _("The computation is being stopped; wait a moment.")
        return "" if self._state in RUNNING else _("Nothing is running.")

    # What is shown

    @property
    def content(self) -> PanelContent:
        """What the panel has to show now."""
        images, choices = self._images, self._choices
        free = Control(self._busy())
        failed = self._state is State.FAILED
        running = self._kind is not None
        log = tuple(self._log)
        return PanelContent(
            state=self._state,
            running=self._kind,
            status=self._status(),
            prior_text=images.prior.in_words() if images.prior else "",
            series_text=images.series.in_words() if images.series else "",
            truth_text=images.truth.in_words() if images.truth else "",
            about_series=images.about_series(),
            acquisition_details="" if images.acquired is None else images.acquired.in_words(),
            problems=self._problems(),
            warnings=images.warnings + self._warnings(),
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
            export=Control("" if images.compared else _("Compare the result with the ground truth first.")),
            cancel=Control(self._why_not_cancel()),
            budget_texts=sentences.budgets(images.prior, choices.device, self._estimates),
            super_resolve_text=sentences.super_resolution(images, choices, self._estimates),
            progress=self._time_left.fraction if running else None,
            progress_text=sentences.progress(self._stage, self._time_left) if running else "",
            loss=self._curve.points,
            log=log,
            failure=self._failure if failed else "",
            advice=self._advice if failed else "",
            last_lines=log[-LAST_LINES:] if failed else (),
            notice=sentences.notice(images),
        )

    def _show(self) -> None:
        if not self._shut_down:
            content = self.content
            if content != self._shown:
                self._shown = content
                self.changed.emit(content)

    def _tick(self) -> None:
        """Show what has happened now and then, rather than at every word of the worker."""
        if self._call_off is not None:
            self._call_off()
            self._call_off = None
        if self._kind is not None:
            self._show()
            self._call_off = self._timer.call_later(REFRESH, self._tick)

    def _status(self) -> str:
        if self._state is State.FAILED:
            return self._failure
        if self._state is State.CANCELLING:
            return _("Stopping. What is finished is kept.")
        if self._state in RUNNING and self._kind is not None:
            return sentences.doing(self._kind)
        if self._message:
            return self._message
        if self._state is State.NO_INPUT:
            return _("Choose a planning scan and a dynamic series, or load the sample data.")
        return self._why_not(Kind.SUPER_RESOLVE) or _("Ready.")

    def _problems(self) -> tuple[str, ...]:
        images = self._images
        others = (self._choices.acquisition.fault(images.series), self._complaint)
        return images.all_problems + images.truth_problems + tuple(filter(None, others))

    def _warnings(self) -> tuple[str, ...]:
        prior, choices = self._images.prior, self._choices
        uses_tuned = choices.use_tuned and choices.tuned_model is not None
        found = [sentence for told in self._told.values() for sentence in told]
        if uses_tuned and choices.tuned_on and (prior is None or prior.id != choices.tuned_on):
            found.append(_("The fine-tuned model belongs to a different planning scan."))
        found += self._images.result_warnings  # which keeps what the worker has told: some are there twice
        return tuple(dict.fromkeys(found))


def _ids(images: ChosenImages, roles: tuple[str, ...]) -> frozenset[tuple[str, str]]:
    """The roles for which an image is chosen, each with the id of its image."""
    chosen: dict[str, ImageFacts | None] = {role: getattr(images, role) for role in roles}
    return frozenset((role, image.id) for role, image in chosen.items() if image is not None)
