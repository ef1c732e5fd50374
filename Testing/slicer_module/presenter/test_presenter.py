"""What the panel shows and allows, in every state, with workers that do anything."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest
from helpers.patient import TIME_POINTS, Patient
from helpers.processes import INTERPRETER, FakeFailingToStart, FakeProcess, FakeTimer, Loop, RealProcess
from SRDynamicMRISlicer.jobs.job import Job, Kind
from SRDynamicMRISlicer.jobs.worker import GRACE, PATIENCE, Worker
from SRDynamicMRISlicer.presenter.acquisition_choices import AcquisitionChoices
from SRDynamicMRISlicer.presenter.choices import Choices
from SRDynamicMRISlicer.presenter.chosen_images import ChosenImages, ImageFacts
from SRDynamicMRISlicer.presenter.chosen_job import Files
from SRDynamicMRISlicer.presenter.durations import (
    START,
    Estimates,
    TimeLeft,
    duration,
    fine_tuning_steps,
    result_voxels,
)
from SRDynamicMRISlicer.presenter.loss_curve import LossCurve
from SRDynamicMRISlicer.presenter.panel_choices import Intensities, TimePoints
from SRDynamicMRISlicer.presenter.panel_content import Control, PanelContent
from SRDynamicMRISlicer.presenter.presenter import LAST_LINES, NEEDS, REFRESH, Presenter, RefusedError
from SRDynamicMRISlicer.presenter.states import RUNNING, STATE_OF, TRANSITIONS, State, check_transition
from SRDynamicMRISlicer.step_queue import Stepwise

from SRDynamicMRILib.acquisition.recognise import DeclaredAcquisition, RecognisedAcquisition
from SRDynamicMRILib.acquisition.recognise_matrix import AcquiredMatrix
from SRDynamicMRILib.acquisition.windows import NO_WINDOW, Window
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.io.sidecar import NOTICE
from SRDynamicMRILib.models.recipes import PAPER
from SRDynamicMRILib.requests import (
    DownsampleRequest,
    EvaluateRequest,
    FineTuneRequest,
    ImportCheckpointRequest,
    InterpolateRequest,
    PhantomRequest,
    SuperResolveRequest,
)

pytestmark = pytest.mark.usefixtures("lost_errors")

PRIOR = ImageFacts("prior 1", "Planning", (256, 192, 16), (1.36, 1.36, 4.0))
SERIES = ImageFacts("series 1", "Cine", (64, 48, 16), (5.44, 5.44, 4.0), 10)
TRUTH = ImageFacts("truth 1", "Full", (256, 192, 16), (1.36, 1.36, 4.0), 10)
RESULT = replace(TRUTH, id="result 1", name="Result")
INPUTS = ChosenImages(PRIOR, SERIES, effective_resolution=(5.44, 5.44), fraction=0.0625, overlap=True)
COMPARED = replace(INPUTS, truth=TRUTH, result=RESULT)
FILES = Files(
    Path("/o"), Path("/prior"), Path("/series"), Path("/truth"), Path("/result"), Path("/checkpoint"), {"A": Path("/a")}
)


class Panel:
    """A presenter and all around it, and what it has told."""

    def __init__(self, inputs: ChosenImages | None = None, process: Callable[[], FakeProcess] = FakeProcess) -> None:
        self.timer = FakeTimer()
        self.processes: list[FakeProcess] = []
        self.settings: dict[str, object] = {}
        self.missing = ""
        self.meanwhile: Callable[[], None] = lambda: None
        self.files: Callable[[Kind], Files] = lambda kind: FILES
        self._process = process
        self.parts = 0
        self.presenter = Presenter(self._new_worker, self._ensure, self._prepare, self.timer, self.timer, self.settings)
        self.contents: list[PanelContent] = []
        self.frames: list[tuple[int, Path]] = []
        self.finished: list[tuple[Job, dict[str, Path]]] = []
        self.log: list[str] = []
        self.presenter.changed.connect(self.contents.append)
        self.presenter.frame_ready.connect(lambda number, path, model: self.frames.append((number, path)))
        self.presenter.finished.connect(lambda job, outputs: self.finished.append((job, outputs)))
        self.presenter.logged.connect(self.log.append)
        if inputs is not None:
            self.presenter.set_images(inputs)

    def _new_worker(self) -> Worker:
        self.processes.append(self._process())
        return Worker(self.processes[-1], self.timer, INTERPRETER)

    def _ensure(self) -> str:
        self.meanwhile()
        return self.missing

    def _prepare(self, kind: Kind) -> Stepwise[Files]:
        for _part in range(self.parts):
            yield
        return self.files(kind)

    @property
    def process(self) -> FakeProcess:
        return self.processes[-1]

    @property
    def state(self) -> State:
        return self.presenter.state

    @property
    def content(self) -> PanelContent:
        return self.presenter.content

    def begin(self, kind: Kind) -> FakeProcess:
        START_OF[kind](self.presenter)
        self.process.begin()
        return self.process

    def bring_to(self, state: State) -> None:
        """From any idle state with inputs."""
        if state is State.NO_INPUT:
            self.presenter.close_scene()
        elif state in RUNNING:
            self.begin(next(kind for kind, s in STATE_OF.items() if s is state))
        elif state is not State.READY:
            self.begin(Kind.SUPER_RESOLVE)
            {
                State.CANCELLING: self.presenter.cancel,
                State.FAILED: lambda: self.process.end(3),
                State.DONE: lambda: self.process.complete(output="/o"),
            }[state]()
        assert self.state is state


START_OF: dict[Kind, Callable[[Presenter], None]] = {
    Kind.FINE_TUNE: Presenter.fine_tune,
    Kind.SUPER_RESOLVE: Presenter.super_resolve,
    Kind.EVALUATE: Presenter.evaluate,
    Kind.INTERPOLATE: Presenter.interpolate,
    Kind.PHANTOM: Presenter.make_sample_data,
    Kind.DOWNSAMPLE: Presenter.simulate,
    Kind.IMPORT_MODEL: Presenter.import_model,
}
BUTTONS = {
    Kind.FINE_TUNE: "fine_tune",
    Kind.SUPER_RESOLVE: "super_resolve",
    Kind.INTERPOLATE: "interpolate",
    Kind.EVALUATE: "evaluate",
    Kind.PHANTOM: "sample_data",
    Kind.DOWNSAMPLE: "simulate",
    Kind.IMPORT_MODEL: "import_model",
}


@pytest.fixture
def panel() -> Panel:
    return Panel(COMPARED)


# States

ALLOWED = {
    State.NO_INPUT: {State.READY, State.SIMULATING, State.FAILED},
    State.READY: {State.NO_INPUT, State.FAILED, *RUNNING},
    State.FINE_TUNING: {State.CANCELLING, State.FAILED, State.DONE},
    State.SUPER_RESOLVING: {State.CANCELLING, State.FAILED, State.DONE},
    State.SIMULATING: {State.CANCELLING, State.FAILED, State.DONE},
    State.EVALUATING: {State.CANCELLING, State.FAILED, State.DONE},
    State.CANCELLING: {State.NO_INPUT, State.READY, State.DONE},
    State.FAILED: {State.NO_INPUT, State.READY, State.FAILED, *RUNNING},
    State.DONE: {State.NO_INPUT, State.READY, State.FAILED, *RUNNING},
}


@pytest.mark.parametrize(("before", "after"), [*itertools.product(State, State)], ids=lambda s: s.name)
def test_transitions(before: State, after: State) -> None:
    assert (after in TRANSITIONS[before]) == (after in ALLOWED[before])
    if after in ALLOWED[before]:
        check_transition(before, after)
    else:
        with pytest.raises(RuntimeError, match=f"{after.name} does not follow {before.name}"):
            check_transition(before, after)


@pytest.mark.parametrize("state", State, ids=lambda s: s.name)
def test_every_state_is_reached_and_says_what_it_is(panel: Panel, state: State) -> None:
    panel.bring_to(state)
    content = panel.content
    assert content.state is state
    assert content.status
    assert content == panel.contents[-1]
    assert (content.running is not None) == (state in RUNNING or state is State.CANCELLING)
    assert bool(content.failure) == bool(content.advice) == bool(content.last_lines) == (state is State.FAILED)


@pytest.mark.parametrize("state", State, ids=lambda s: s.name)
@pytest.mark.parametrize("kind", Kind, ids=lambda k: k.name)
def test_what_may_start_in_which_state(panel: Panel, state: State, kind: Kind) -> None:
    panel.bring_to(state)
    before = len(panel.processes)
    needs_nothing = kind in (Kind.PHANTOM, Kind.IMPORT_MODEL)
    possible = state in (State.READY, State.FAILED, State.DONE) or (state is State.NO_INPUT and needs_nothing)
    if kind in BUTTONS:
        control: Control = getattr(panel.content, BUTTONS[kind])
        assert control.enabled is possible
    if possible:
        panel.begin(kind)
        assert panel.state is STATE_OF[kind]
        assert panel.content.running is kind
        assert len(panel.processes) == before + 1
    else:
        with pytest.raises(RefusedError) as refused:
            START_OF[kind](panel.presenter)
        if kind in BUTTONS:
            assert str(refused.value) == control.reason
        assert panel.state is state
        assert len(panel.processes) == before


@pytest.mark.parametrize("state", State, ids=lambda s: s.name)
def test_what_may_be_cancelled(panel: Panel, state: State) -> None:
    panel.bring_to(state)
    assert panel.content.cancel.enabled is (state in RUNNING)
    if state in RUNNING:
        panel.presenter.cancel()
        assert panel.state is State.CANCELLING
        assert panel.process.asked == ["start", "stop"]
    else:
        reason = panel.content.cancel.reason
        with pytest.raises(RefusedError, match=reason):
            panel.presenter.cancel()
        assert panel.state is state


@pytest.mark.parametrize("state", State, ids=lambda s: s.name)
def test_choices_are_free_unless_something_runs(panel: Panel, state: State) -> None:
    panel.bring_to(state)
    content = panel.content
    busy = state in RUNNING or state is State.CANCELLING
    for control in (content.inputs, content.base_model, content.budget, content.device, content.frames):
        assert control.enabled is not busy
        assert bool(control.reason) is busy


@pytest.mark.parametrize("state", State, ids=lambda s: s.name)
def test_what_cannot_be_used_says_why(panel: Panel, state: State) -> None:
    panel.bring_to(state)
    for field in fields(PanelContent):
        control = getattr(panel.content, field.name)
        if isinstance(control, Control) and not control.enabled:
            assert control.reason.endswith(".")


# Reasons

NOTHING = ChosenImages()
APART = "The planning scan and the series do not overlap; choose two of the same patient and body region."
REASONS: dict[str, tuple[ChosenImages, Choices, Kind, str]] = {
    "no planning scan": (ChosenImages(series=SERIES), Choices(), Kind.FINE_TUNE, "Choose a planning scan first."),
    "no series": (ChosenImages(PRIOR), Choices(), Kind.FINE_TUNE, "Choose a dynamic series first."),
    "nothing": (NOTHING, Choices(), Kind.SUPER_RESOLVE, "Choose a dynamic series first."),
    "apart": (replace(INPUTS, overlap=False), Choices(), Kind.FINE_TUNE, APART),
    "problem first": (
        replace(INPUTS, overlap=False, problems=("Empty.",)),
        Choices(),
        Kind.SUPER_RESOLVE,
        "Empty.",
    ),
    "no resolution": (
        ChosenImages(series=SERIES),
        Choices(),
        Kind.SUPER_RESOLVE,
        "Choose a planning scan or set the acquired k-space: it determines the resolution of the result.",
    ),
    "no truth": (replace(COMPARED, truth=None), Choices(), Kind.EVALUATE, "Choose a ground truth first."),
    "no result": (replace(COMPARED, result=None), Choices(), Kind.EVALUATE, "Super-resolve the series first."),
    "bad truth": (replace(COMPARED, truth_problems=("Short.",)), Choices(), Kind.EVALUATE, "Short."),
    "nothing to simulate": (NOTHING, Choices(), Kind.DOWNSAMPLE, "Choose a dynamic series first."),
    "no planning scan to interpolate to": (
        ChosenImages(series=SERIES),
        Choices(),
        Kind.INTERPOLATE,
        "Choose a planning scan first.",
    ),
}


@pytest.mark.parametrize("name", REASONS)
def test_reasons(name: str) -> None:
    inputs, choices, kind, reason = REASONS[name]
    panel = Panel(inputs)
    panel.presenter.set_choices(choices)
    with pytest.raises(RefusedError) as refused:
        START_OF[kind](panel.presenter)
    assert str(refused.value) == reason
    if kind in BUTTONS:
        assert getattr(panel.content, BUTTONS[kind]) == Control(reason)


@pytest.mark.parametrize("fraction", [-1.0, 0.0, 1.0, 2.0])
def test_a_fraction_that_is_none(panel: Panel, fraction: float) -> None:
    panel.presenter.set_choices(Choices(simulated_fraction=fraction))
    assert panel.content.simulate.reason == "Choose a percentage of k-space between 0 and 100%."


DECLARED = AcquisitionChoices(24, 32, "Fermi:0.1", " 2.5 ", Intensities.SIGNED)


def test_what_is_declared_of_the_acquisition() -> None:
    assert AcquisitionChoices().declared() == DeclaredAcquisition()
    assert not AcquisitionChoices(window=" ", noise="-1").declared().says_something
    assert DECLARED.declared() == DeclaredAcquisition((24, 32), Window("fermi", 0.1), 2.5, False)
    nothing = AcquisitionChoices(window="none", noise="0", intensities=Intensities.MAGNITUDES)
    assert nothing.declared() == DeclaredAcquisition(None, NO_WINDOW, 0, True)


@pytest.mark.parametrize(
    ("acquisition", "reason"),
    [
        (AcquisitionChoices(window="hanning"), "There is no window named hanning"),
        (AcquisitionChoices(window="fermi"), "The window fermi needs a number"),
        (AcquisitionChoices(window="hann:1"), "hann:1 names no window"),
        (AcquisitionChoices(noise="much"), "The noise is a number, but much is none"),
        (AcquisitionChoices(noise="inf"), "The noise must be 0 or more"),
        (AcquisitionChoices(noise="nan"), "The noise must be 0 or more"),
        (AcquisitionChoices(rows=24), "Set rows and columns of the acquired matrix"),
        (AcquisitionChoices(columns=24), "Set rows and columns of the acquired matrix"),
        (AcquisitionChoices(rows=49, columns=64), "cannot have an acquired matrix of 49x64"),
        (AcquisitionChoices(rows=48, columns=65), "cannot have an acquired matrix of 48x65"),
        (AcquisitionChoices(rows=1, columns=64), "cannot have an acquired matrix of 1x64"),
    ],
)
def test_an_acquisition_that_cannot_be(panel: Panel, acquisition: AcquisitionChoices, reason: str) -> None:
    """It is one sentence, and neither fine-tuning nor super-resolution can start; all else can."""
    panel.presenter.set_choices(Choices(acquisition=acquisition))
    content = panel.content
    assert reason in content.problems[0]
    assert content.problems[0].endswith(".")
    assert content.fine_tune.reason == content.super_resolve.reason == content.problems[0]
    assert content.simulate.enabled and content.interpolate.enabled
    with pytest.raises(RefusedError):
        panel.presenter.super_resolve()
    panel.presenter.set_choices(Choices(acquisition=AcquisitionChoices(48, 64)))
    assert panel.content.super_resolve.enabled and panel.content.problems == ()


def test_what_is_wrong_without_a_series_is_said(panel: Panel) -> None:
    panel.presenter.set_images(ChosenImages())
    panel.presenter.set_choices(Choices(acquisition=AcquisitionChoices(1000, 1000)))
    assert panel.content.problems == ()
    panel.presenter.set_choices(Choices(acquisition=AcquisitionChoices(window="x")))
    assert "There is no window named x" in panel.content.problems[0]


@pytest.mark.parametrize(
    ("choices", "possible"),
    [
        (Choices(time_point_selection=TimePoints.RANGE, first_time_point=0, last_time_point=9), True),
        (Choices(time_point_selection=TimePoints.RANGE, first_time_point=3, last_time_point=3), True),
        (Choices(time_point_selection=TimePoints.RANGE, first_time_point=0, last_time_point=10), False),
        (Choices(time_point_selection=TimePoints.RANGE, first_time_point=4, last_time_point=3), False),
        (Choices(time_point_selection=TimePoints.RANGE, first_time_point=-1, last_time_point=3), False),
        (Choices(time_point_selection=TimePoints.SHOWN, shown=9), True),
        (Choices(time_point_selection=TimePoints.SHOWN, shown=10), False),
        (Choices(time_point_selection=TimePoints.ALL, first_time_point=99, last_time_point=3), True),
    ],
)
def test_time_points(panel: Panel, choices: Choices, possible: bool) -> None:
    panel.presenter.set_choices(choices)
    reason = "" if possible else "Choose time points from 0 to 9."
    assert panel.content.super_resolve.reason == reason
    assert bool(panel.content.super_resolve_text) is possible


def test_a_series_alone_is_enough_where_the_fraction_is_known() -> None:
    panel = Panel(ChosenImages(series=SERIES))
    panel.presenter.set_choices(Choices(fraction=0.1))
    panel.files = lambda kind: Files(Path("/o"), series=Path("/series"))
    assert panel.begin(Kind.SUPER_RESOLVE).request == SuperResolveRequest(
        input=Path("/series"), output=Path("/o"), fraction=0.1
    )


# Facts in words


def test_inputs_in_words() -> None:
    times = {"interval": 0.0512, "acquisition_time": 6.616}
    content = Panel(replace(COMPARED, **times, warnings=("A stack?",), truth_problems=("Short.",))).content
    assert content.prior_text == "256 x 192 x 16 voxels of 1.36 x 1.36 x 4.00 mm"
    assert content.series_text == "64 x 48 x 16 voxels of 5.44 x 5.44 x 4.00 mm, 10 time points"
    assert content.truth_text == "256 x 192 x 16 voxels of 1.36 x 1.36 x 4.00 mm, 10 time points"
    assert content.about_series.splitlines() == [
        "In-plane resolution: 5.44 x 5.44 mm.",
        "6.25% of k-space was acquired.",
        "The time points are 0.0512 s apart.",
        "Estimated acquisition time per time point, without acceleration: 6.62 s.",
    ]
    assert content.problems == ("Short.",)
    assert content.warnings == ("A stack?",)
    assert content.notice == NOTICE


STORED = Geometry((8, 128, 96), (1.0, 1.0, 5.0))
TOLD = {"matrix": "data", "shutter": "data", "partial_fourier": "data", "window": "data", "noise": "data"}
ACQUIRED = RecognisedAcquisition(
    AcquiredMatrix((64, 48), STORED, "spectrum"),
    window=Window("hann"),
    noise=5.0,
    magnitude=True,
    signal=100.0,
    sources={**TOLD, "magnitude": "data"},
)


@pytest.mark.parametrize(
    ("acquired", "words"),
    [
        (ACQUIRED, "Acquired 64x48, stored 128x96 (rows x columns); magnitudes; window hann; SNR 20."),
        (
            replace(ACQUIRED, window=NO_WINDOW, noise=0.0, magnitude=False),
            "Acquired 64x48, stored 128x96 (rows x columns); sign kept; no window; no noise.",
        ),
        (
            replace(ACQUIRED, has_air=False, shutter="ellipse", partial_fourier=0.75),
            "Acquired 64x48, stored 128x96 (rows x columns); magnitudes; window hann; elliptical shutter; "
            "partial Fourier 6/8; SNR 20 or more.",
        ),
        (
            replace(ACQUIRED, has_air=False, sources={**ACQUIRED.sources, "noise": "declared"}),
            "Acquired 64x48, stored 128x96 (rows x columns); magnitudes; window hann; SNR 20.",
        ),
        (
            replace(ACQUIRED, matrix_part=AcquiredMatrix((128, 96), STORED)),
            "Acquired and stored 128x96 (rows x columns); magnitudes; window hann; SNR 20.",
        ),
        (
            RecognisedAcquisition(AcquiredMatrix((128, 96), STORED), magnitude=True),
            "Acquired and stored 128x96 (rows x columns); magnitudes.",
        ),
        (
            replace(ACQUIRED, signal=0.0, noise=2.5, sources={**ACQUIRED.sources, "noise": "declared"}),
            "Acquired 64x48, stored 128x96 (rows x columns); magnitudes; window hann; noise 2.5.",
        ),
    ],
)
def test_the_acquisition_in_words(acquired: RecognisedAcquisition, words: str) -> None:
    """Briefly beside the share of k-space, at length in the tooltip; nothing of what is only assumed."""
    content = Panel(replace(INPUTS, acquired=acquired)).content
    assert content.about_series.splitlines()[1:] == ["6.25% of k-space was acquired.", words]
    assert content.acquisition_details == acquired.in_words()
    assert Panel(INPUTS).content.acquisition_details == ""


def test_nothing_in_words() -> None:
    content = Panel().content
    assert (
        content.prior_text == content.series_text == content.truth_text == content.about_series == content.notice == ""
    )
    assert content.status == "Choose a planning scan and a dynamic series, or load the sample data."
    assert content.budget_texts == {
        "quick": "Quick",
        "standard": "Standard",
        "long": "Long",
        "paper": "As in the paper",
    }


def test_problems_are_shown_and_told() -> None:
    content = Panel(replace(INPUTS, overlap=False, problems=("Empty.",))).content
    assert content.problems == ("Empty.", APART)
    assert content.status == "Empty."


def test_a_model_of_another_planning_scan(panel: Panel) -> None:
    tuned = Choices(tuned_model=Path("/m"), tuned_on="prior 1")
    panel.presenter.set_choices(tuned)
    assert panel.content.warnings == ()
    panel.presenter.set_choices(replace(tuned, tuned_on="prior 2"))
    assert "different planning scan" in panel.content.warnings[0]
    panel.presenter.set_choices(replace(tuned, tuned_on="prior 2", use_tuned=False))
    assert panel.content.warnings == ()


def test_export_needs_figures(panel: Panel) -> None:
    assert not panel.content.export.enabled
    panel.presenter.set_images(replace(COMPARED, compared=True))
    assert panel.content.export.enabled


# What is run


def test_request_of_every_job(panel: Panel) -> None:
    choices = Choices(
        base_model=Path("/base"),
        tuned_model=Path("/tuned"),
        tuned_on="prior 1",
        budget="quick",
        keep_contrast=True,
        device="cuda:1",
        time_point_selection=TimePoints.RANGE,
        first_time_point=2,
        last_time_point=4,
        simulated_fraction=0.25,
        like_scanner=True,
        seed=7,
        acquisition=DECLARED,
    )
    panel.presenter.set_choices(choices)
    series, output, here = Path("/series"), Path("/o"), {"device": "cuda:1", "seed": 7}
    declared = {"acquired_matrix": (24, 32), "window": "fermi:0.1", "noise": 2.5, "signed": True}
    expected = {
        Kind.FINE_TUNE: FineTuneRequest(
            prior=Path("/prior"),
            series=series,
            output=output,
            model=Path("/base"),
            budget="quick",
            keep_contrast=True,
            **declared,
            **here,
        ),
        Kind.SUPER_RESOLVE: SuperResolveRequest(
            input=series, output=output, model=Path("/tuned"), prior=Path("/prior"), frames="2:5", **declared, **here
        ),
        Kind.EVALUATE: EvaluateRequest(
            result=Path("/result"), truth=Path("/truth"), baseline=(("A", Path("/a")),), output=output, **here
        ),
        Kind.INTERPOLATE: InterpolateRequest(
            input=series, output=output, like=Path("/prior"), method="zero_filled", **here
        ),
        Kind.PHANTOM: PhantomRequest(outdir=output, **here),
        Kind.DOWNSAMPLE: DownsampleRequest(input=series, output=output, fraction=0.25, like_scanner=True, **here),
        Kind.IMPORT_MODEL: ImportCheckpointRequest(input=Path("/checkpoint"), output=output, **here),
    }
    assert set(expected) == set(Kind)
    for kind, request in expected.items():
        process = panel.begin(kind)
        assert process.request == request
        assert panel.log[-1] == request.to_json()
        process.complete()


def test_magnitudes_are_asked_for_by_their_own_option(panel: Panel) -> None:
    magnitudes = AcquisitionChoices(noise="0", intensities=Intensities.MAGNITUDES)
    panel.presenter.set_choices(Choices(acquisition=magnitudes))
    request = panel.begin(Kind.SUPER_RESOLVE).request
    assert (request.magnitude, request.signed, request.noise) == (True, False, 0)
    assert (request.window, request.acquired_matrix) == (None, None)


def test_frames_and_models(panel: Panel) -> None:
    panel.presenter.set_choices(
        Choices(time_point_selection=TimePoints.SHOWN, shown=3, tuned_model=Path("/tuned"), use_tuned=False)
    )
    request = panel.begin(Kind.SUPER_RESOLVE).request
    assert (request.frames, request.model) == ("3", None)


def test_a_file_that_was_not_prepared_is_a_fault(panel: Panel) -> None:
    panel.files = lambda kind: Files(Path("/o"))
    with pytest.raises(TypeError):
        panel.presenter.fine_tune()
    assert panel.state is State.FAILED
    assert not panel.processes


# A job from beginning to end


def test_fine_tuning(panel: Panel) -> None:
    process = panel.begin(Kind.FINE_TUNE)
    assert panel.content.progress is None
    assert panel.content.progress_text == "Starting"
    process.say("log", message="The prior is resampled.")
    process.say("stage", name="Fine-tuning")
    assert panel.content.progress_text == "Fine-tuning"
    process.say("progress", done=0, total=300)
    assert panel.content.progress_text == "Fine-tuning: 0 of 300"
    for step in range(1, 151):
        panel.timer.advance(0.5)
        process.say("loss", step=step, value=1 / step)
        process.say("progress", done=step, total=300)
    content = panel.content
    assert content.progress == 0.5
    assert content.progress_text == "Fine-tuning: 150 of 300, about 1 min left"
    assert content.loss[0] == (1, 1.0)
    assert content.loss[-1] == (150, 1 / 150)
    assert content.log[1:] == ("The prior is resampled.", "Fine-tuning")
    process.complete(model="/m.safetensors")
    assert panel.state is State.DONE
    assert [(job.kind, outputs) for job, outputs in panel.finished] == [
        (Kind.FINE_TUNE, {"model": Path("/m.safetensors")})
    ]
    content = panel.content
    assert content.status == "The model has been fine-tuned. Super-resolve the series next."
    assert (content.progress, content.progress_text, content.running) == (None, "", None)
    assert len(content.loss) == 150, "the curve stays"
    assert panel.timer.waiting == 1, "the last tick is still due"
    panel.timer.advance(10)
    assert panel.timer.waiting == 0


def warn(process: FakeProcess, sentence: str) -> None:
    """As the worker does: an event, and a line on standard error."""
    process.say("log", message=f"Warning: {sentence}", level="warning")
    process.error_output.emit(f"Warning: {sentence}\n".encode())


def test_warnings_of_the_worker_are_shown_until_they_are_about_something_else(panel: Panel) -> None:
    process = panel.begin(Kind.FINE_TUNE)
    warn(process, "The scan does not fit.")
    assert panel.content.warnings == ("The scan does not fit.",)
    assert panel.log.count("Warning: The scan does not fit.") == 1
    process.complete(model="/m")
    process = panel.begin(Kind.SUPER_RESOLVE)
    warn(process, "The scan does not fit.")
    warn(process, "It is noisy.")
    process.complete(output="/o")
    assert panel.content.warnings == ("The scan does not fit.", "It is noisy.")
    panel.begin(Kind.FINE_TUNE).end(3)
    assert panel.content.warnings == ("The scan does not fit.", "It is noisy."), "the result is still there"
    panel.begin(Kind.SUPER_RESOLVE).end(3)
    assert panel.content.warnings == ()
    warn(panel.begin(Kind.SUPER_RESOLVE), "It is noisy.")
    panel.process.end(3)
    inputs = panel.presenter.images
    assert inputs.series is not None
    panel.presenter.set_images(replace(inputs, series=replace(inputs.series, id="other")))
    assert panel.content.warnings == ()


def test_a_result_that_was_saved_says_again_what_is_to_be_known(panel: Panel) -> None:
    inputs = replace(panel.presenter.images, result=panel.presenter.images.series, consistency=(0.0312, 0.0778))
    panel.presenter.set_images(replace(inputs, result_warnings=("It is noisy.",)))
    assert panel.content.warnings == ("It is noisy.",)
    assert panel.content.notice.startswith(NOTICE)
    assert "3.12%" in panel.content.notice
    assert "7.78%" in panel.content.notice
    panel.presenter.set_images(replace(inputs, consistency=None))
    assert panel.content.notice == NOTICE


def test_frames_are_shown_at_once(panel: Panel) -> None:
    process = panel.begin(Kind.SUPER_RESOLVE)
    process.say("stage", name="Super-resolving")
    process.say("frame", index=0, path="/f/0")
    assert panel.frames == [(0, Path("/f/0"))]
    panel.presenter.cancel()
    process.say("frame", index=1, path="/f/1")
    assert len(panel.frames) == 2, "finished time points are kept, also while it is being cancelled"
    process.end(130)
    assert panel.state is State.READY
    assert not panel.finished


def test_a_flood_of_words_is_shown_now_and_then(panel: Panel) -> None:
    process = panel.begin(Kind.FINE_TUNE)
    process.say("stage", name="Fine-tuning")
    before = len(panel.contents)
    for step in range(1, 10_001):
        process.say("loss", step=step, value=1.0)
        process.say("progress", done=step, total=10_000)
        process.say("log", message=f"step {step}")
    assert len(panel.contents) == before
    assert len(panel.log) > 10_000
    panel.timer.advance(REFRESH)
    assert len(panel.contents) == before + 1
    assert len(panel.contents[-1].loss) <= 401
    assert len(panel.contents[-1].log) == 2000
    panel.timer.advance(REFRESH * 4)
    assert len(panel.contents) == before + 1, "what has not changed is not shown again"


def test_a_view_is_never_told_twice(panel: Panel) -> None:
    for state in (State.READY, State.DONE, State.FAILED, State.CANCELLING):
        panel.bring_to(state)
    panel.timer.advance(100)
    panel.presenter.set_images(COMPARED)
    panel.presenter.set_choices(panel.presenter.choices)
    assert all(a != b for a, b in itertools.pairwise(panel.contents))


def test_a_listener_may_start_the_next_job(panel: Panel) -> None:
    panel.presenter.finished.connect(lambda job, outputs: panel.presenter.evaluate() if len(panel.processes) < 2 else 0)
    panel.begin(Kind.SUPER_RESOLVE).complete(output="/o")
    assert panel.state is State.EVALUATING
    assert panel.contents[-1].state is State.EVALUATING
    panel.process.complete(metrics="/m")
    assert panel.state is State.DONE
    assert [job.kind for job, _ in panel.finished] == [Kind.SUPER_RESOLVE, Kind.EVALUATE]


def test_the_fault_of_a_listener_leaves_the_state_right(panel: Panel, lost_errors: list[BaseException]) -> None:
    def failing(*_: object) -> None:
        raise ValueError("mine")

    panel.presenter.finished.connect(failing)
    panel.presenter.frame_ready.connect(failing)
    process = panel.begin(Kind.SUPER_RESOLVE)
    process.say("frame", index=0, path="/f")
    process.complete(output="/o")
    assert panel.state is State.DONE
    assert panel.contents[-1].state is State.DONE
    assert len(lost_errors) == 2
    lost_errors.clear()


# Failures


def test_failure_of_the_worker(panel: Panel) -> None:
    process = panel.begin(Kind.SUPER_RESOLVE)
    for line in range(20):
        process.say("log", message=f"line {line}")
    process.say("error", message="There is not enough memory; close other programs.")
    process.error_output.emit(b"There is not enough memory; close other programs.\n")
    process.end(2)
    content = panel.content
    assert content.state is State.FAILED
    assert content.failure == content.status == "There is not enough memory; close other programs."
    assert content.advice == "Correct this and press the button again."
    assert content.last_lines == (*[f"line {n}" for n in range(16, 20)], content.failure)
    assert len(content.last_lines) == LAST_LINES
    assert not panel.finished


ADVICE: dict[str, tuple[Callable[[FakeProcess], object], str]] = {
    "crash": (lambda process: process.end(None), "Memory may have run out"),
    "no result": (lambda process: process.end(0), "Look at the log"),
    "fault": (lambda process: process.end(1), "Look at the log"),
    "result, then a fault": (lambda process: [process.say("result", outputs={}), process.end(1)], "Look at the log"),
}


@pytest.mark.parametrize("name", ADVICE)
def test_advice(panel: Panel, name: str) -> None:
    end, advice = ADVICE[name]
    end(panel.begin(Kind.FINE_TUNE))
    assert panel.state is State.FAILED
    assert panel.content.failure
    assert panel.content.advice.startswith(advice)


def test_a_worker_that_does_not_start() -> None:
    panel = Panel(INPUTS, FakeFailingToStart)
    panel.presenter.fine_tune()
    assert panel.state is State.FAILED
    assert "could not be started" in panel.content.failure
    assert "Reinstall the extension" in panel.content.advice
    panel.timer.advance(10)
    assert panel.timer.waiting == 0


def test_dependencies_are_missing(panel: Panel) -> None:
    panel.missing = "PyTorch is missing."
    panel.presenter.fine_tune()
    assert panel.content.failure == "PyTorch is missing."
    assert not panel.processes
    panel.presenter.fine_tune()
    assert panel.state is State.FAILED, "and again"
    panel.missing = ""
    panel.presenter.fine_tune()
    assert panel.state is State.FINE_TUNING
    assert panel.content.failure == ""


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InputError("The series is empty; choose another."), "The series is empty; choose another."),
        (
            OSError(28, "No space left on device", "/tmp/a.nii"),
            "/tmp/a.nii cannot be written: No space left on device.",
        ),
        (OSError("strange"), "A file cannot be written: strange."),
    ],
)
def test_inputs_cannot_be_written(panel: Panel, error: Exception, sentence: str) -> None:
    def failing(kind: Kind) -> Files:
        raise error

    panel.files = failing
    panel.presenter.super_resolve()
    assert panel.content.failure == sentence
    assert panel.state is State.FAILED
    assert not panel.processes


def test_a_fault_of_preparing_is_shown_and_raised(panel: Panel) -> None:
    def failing(kind: Kind) -> Files:
        raise AttributeError("GetName")

    panel.files = failing
    with pytest.raises(AttributeError):
        panel.presenter.super_resolve()
    assert panel.content.failure == "The inputs could not be prepared (AttributeError: GetName)."
    assert panel.content.fine_tune.enabled


def test_while_it_is_prepared_nothing_else_starts(panel: Panel) -> None:
    def press_again() -> None:
        assert panel.content.fine_tune.reason == "The computation is being prepared; wait a moment."
        with pytest.raises(RefusedError):
            panel.presenter.fine_tune()

    panel.meanwhile = press_again
    panel.presenter.super_resolve()
    assert len(panel.processes) == 1


@pytest.mark.parametrize("what", ["close", "remove", "quit"])
def test_while_it_is_prepared_everything_may_go(panel: Panel, what: str) -> None:
    panel.meanwhile = {
        "close": panel.presenter.close_scene,
        "remove": lambda: panel.presenter.set_images(ChosenImages(PRIOR)),
        "quit": panel.presenter.shut_down,
    }[what]
    panel.presenter.fine_tune()
    assert not panel.processes
    assert panel.state is (State.READY if what == "quit" else State.NO_INPUT)


@pytest.mark.parametrize("kind", Kind, ids=lambda k: k.name)
def test_inputs_are_written_in_steps(panel: Panel, kind: Kind) -> None:
    """The application goes on between two steps, and the job is the one that was asked for."""
    panel.parts = 3
    panel.presenter.set_choices(Choices(device="cpu"))
    START_OF[kind](panel.presenter)
    assert panel.state is STATE_OF[kind]
    assert panel.content.progress_text == "Writing the inputs"
    assert panel.content.cancel.enabled
    assert not panel.content.fine_tune.enabled
    panel.presenter.set_choices(Choices(device="cuda:0"))
    assert not panel.processes
    panel.timer.advance(0)
    assert len(panel.processes) == 1
    assert panel.content.running is kind
    panel.process.begin()
    assert panel.process.request.device == "cpu"


@pytest.mark.parametrize("what", ["cancel", "close", "remove", "quit"])
def test_while_inputs_are_written_everything_may_go(panel: Panel, what: str) -> None:
    panel.parts = 3
    panel.presenter.fine_tune()
    {
        "cancel": panel.presenter.cancel,
        "close": panel.presenter.close_scene,
        "remove": lambda: panel.presenter.set_images(ChosenImages(PRIOR)),
        "quit": panel.presenter.shut_down,
    }[what]()
    panel.timer.advance(1)
    assert not panel.processes
    assert panel.timer.waiting == 0
    if what == "cancel":
        assert (panel.state, panel.content.status) == (State.READY, "Cancelled.")
    if what == "remove":
        assert "was removed" in panel.content.status
    if what != "quit":
        panel.presenter.set_images(COMPARED)
        panel.parts = 0
        assert panel.begin(Kind.EVALUATE).asked == ["start"]


def test_a_question_while_inputs_are_written_may_end_it(panel: Panel) -> None:
    """A dialog runs the application's loop: the user closes the scene before answering."""

    def asking(kind: Kind) -> Files:
        panel.presenter.close_scene()
        return FILES

    panel.files = asking
    panel.presenter.super_resolve()
    assert panel.state is State.NO_INPUT
    assert not panel.processes


def test_a_fault_in_a_later_step_is_shown(panel: Panel) -> None:
    def failing(kind: Kind) -> Files:
        raise InputError("Time point 7 of cine holds nothing.")

    panel.parts, panel.files = 1, failing
    panel.presenter.super_resolve()
    panel.timer.advance(1)
    assert panel.content.failure == "Time point 7 of cine holds nothing."
    assert panel.content.super_resolve.enabled


# What jobs have made is brought into the scene


def test_nothing_is_started_before_the_last_result_is_there(panel: Panel) -> None:
    panel.begin(Kind.DOWNSAMPLE).complete(output="/o")
    panel.presenter.bring_in(True)
    assert panel.content.super_resolve.reason == "The result is being loaded into the scene; wait a moment."
    panel.presenter.bring_in(False)
    assert panel.content.super_resolve.enabled
    assert panel.state is State.DONE


def test_a_result_that_cannot_be_brought_in_is_not_done(panel: Panel) -> None:
    panel.begin(Kind.SUPER_RESOLVE).complete(output="/o")
    panel.presenter.bring_in(True)
    panel.presenter.complain("The result was deleted.")
    panel.presenter.bring_in(False)
    assert panel.state is State.FAILED
    assert (panel.content.status, panel.content.problems) == ("The result was deleted.", ())
    panel.begin(Kind.SUPER_RESOLVE)
    assert panel.content.failure == ""


def test_a_result_deleted_half_way_stops_the_job(panel: Panel) -> None:
    process = panel.begin(Kind.SUPER_RESOLVE)
    panel.presenter.give_up("The result was deleted, so the computation was stopped.")
    assert process.asked == ["start", "stop"]
    process.complete(output="/o")
    assert panel.state is State.READY
    assert panel.content.status == "The result was deleted, so the computation was stopped."
    assert not panel.finished
    assert not panel.begin(Kind.SUPER_RESOLVE).request.resume
    panel.presenter.shut_down()


def test_giving_up_stops_only_what_runs(panel: Panel) -> None:
    panel.presenter.give_up("Gone.")
    assert panel.content.status == "Ready."


def test_what_cannot_be_shown_is_said_until_something_changes(panel: Panel) -> None:
    panel.presenter.complain("Cine cannot be shown.")
    assert panel.state is State.READY
    assert panel.content.problems == ("Cine cannot be shown.",)
    assert panel.content.super_resolve.enabled
    panel.presenter.set_images(replace(COMPARED, series=replace(SERIES, id="series 2")))
    assert panel.content.problems == ()
    panel.presenter.complain("Cine cannot be shown.")
    panel.presenter.complain("")
    assert panel.content.problems == ()
    panel.presenter.complain("Cine cannot be shown.")
    panel.begin(Kind.EVALUATE)
    assert panel.content.problems == ()


# Cancelling


def test_cancelling_politely(panel: Panel) -> None:
    process = panel.begin(Kind.EVALUATE)
    panel.presenter.cancel()
    assert panel.content.status == "Stopping. What is finished is kept."
    process.end(130)
    assert panel.state is State.READY
    assert panel.content.status == "Cancelled."
    assert panel.content.failure == ""


@pytest.mark.parametrize("kind", Kind, ids=lambda k: k.name)
def test_cancelling_what_does_not_listen(panel: Panel, kind: Kind) -> None:
    process = panel.begin(kind)
    panel.presenter.cancel()
    panel.timer.advance(GRACE + 1)
    assert process.asked == ["start", "stop", "kill"]
    assert panel.state is State.READY


def test_cancelling_what_nothing_ends() -> None:
    panel = Panel(INPUTS, lambda: FakeProcess(ends_when_killed=False))
    panel.begin(Kind.FINE_TUNE)
    panel.presenter.cancel()
    panel.timer.advance(GRACE + PATIENCE)
    assert panel.state is State.READY
    panel.process.end(None)
    assert panel.state is State.READY


def test_what_finishes_while_it_is_cancelled_is_done(panel: Panel) -> None:
    process = panel.begin(Kind.FINE_TUNE)
    panel.presenter.cancel()
    process.complete(model="/m")
    assert panel.state is State.DONE
    assert len(panel.finished) == 1


def test_a_failure_while_it_is_cancelled_is_none(panel: Panel) -> None:
    process = panel.begin(Kind.FINE_TUNE)
    panel.presenter.cancel()
    process.say("error", message="Disk full.")
    process.end(2)
    assert panel.state is State.READY


# Going on


@pytest.mark.parametrize("kind", [Kind.FINE_TUNE, Kind.SUPER_RESOLVE], ids=lambda k: k.name)
def test_the_same_job_goes_on_where_it_was_cancelled(panel: Panel, kind: Kind) -> None:
    for again in (False, True, True):
        process = panel.begin(kind)
        assert process.request.resume is again
        panel.presenter.cancel()
        process.end(130)
        assert panel.content.status == "Cancelled. With the same settings, the next start continues from here."
    panel.begin(kind).complete()
    assert not panel.begin(kind).request.resume


def test_the_curve_goes_on_too(panel: Panel) -> None:
    process = panel.begin(Kind.FINE_TUNE)
    process.say("loss", step=1, value=1.0)
    panel.presenter.cancel()
    process.end(130)
    panel.begin(Kind.FINE_TUNE).say("loss", step=11, value=0.5)
    assert panel.content.loss == ((1, 1.0), (11, 0.5))
    panel.process.complete()
    panel.begin(Kind.FINE_TUNE).say("loss", step=1, value=0.9)
    assert panel.content.loss == ((1, 0.9),)


def test_other_choices_begin_anew(panel: Panel) -> None:
    panel.begin(Kind.FINE_TUNE)
    panel.presenter.cancel()
    panel.process.end(130)
    panel.presenter.set_choices(Choices(seed=1))
    assert not panel.begin(Kind.FINE_TUNE).request.resume


def test_what_fails_goes_on_once_and_then_begins_anew(panel: Panel) -> None:
    for again in (False, True, False, True):
        process = panel.begin(Kind.SUPER_RESOLVE)
        assert process.request.resume is again
        process.end(None)


def test_what_cannot_be_resumed_begins_anew(panel: Panel) -> None:
    for _ in range(2):
        panel.begin(Kind.EVALUATE).end(1)
    first, again = panel.processes
    assert first.told == again.told


# Inputs that come and go


def test_inputs_come_and_go() -> None:
    panel = Panel()
    panel.presenter.set_images(ChosenImages(PRIOR))
    assert panel.state is State.NO_INPUT
    panel.presenter.set_images(INPUTS)
    assert panel.presenter.images == INPUTS
    assert panel.state is State.READY
    assert panel.content.status == "Ready."
    panel.presenter.set_images(NOTHING)
    assert panel.state is State.NO_INPUT


@pytest.mark.parametrize("state", [State.DONE, State.FAILED], ids=lambda s: s.name)
def test_what_was_said_stays_until_other_inputs_are_chosen(panel: Panel, state: State) -> None:
    panel.bring_to(state)
    status = panel.content.status
    panel.presenter.set_images(replace(COMPARED, result=replace(RESULT, id="result 2"), compared=True))
    assert panel.state is state, "a result that appears is no other input"
    assert panel.content.status == status
    panel.presenter.set_images(replace(COMPARED, series=replace(SERIES, id="series 2")))
    assert panel.state is State.READY
    assert panel.content.status == "Ready."


@pytest.mark.parametrize("role", ["prior", "series", "truth", "result"])
@pytest.mark.parametrize("kind", Kind, ids=lambda k: k.name)
def test_a_job_whose_input_is_deleted_is_stopped(panel: Panel, kind: Kind, role: str) -> None:
    panel.begin(kind)
    panel.presenter.set_images(replace(COMPARED, **{role: None}))
    assert panel.state is (State.CANCELLING if role in NEEDS[kind] else STATE_OF[kind])


def test_an_input_is_deleted_half_way(panel: Panel) -> None:
    process = panel.begin(Kind.SUPER_RESOLVE)
    panel.presenter.set_images(replace(COMPARED, series=None))
    assert panel.state is State.CANCELLING
    process.say("frame", index=0, path="/f")
    process.complete(output="/o")
    assert panel.state is State.NO_INPUT
    assert not panel.frames + panel.finished
    assert "was removed" in panel.content.status
    panel.presenter.set_images(COMPARED)
    assert not panel.begin(Kind.SUPER_RESOLVE).request.resume


def test_facts_may_change_half_way(panel: Panel) -> None:
    panel.begin(Kind.SUPER_RESOLVE)
    panel.presenter.set_images(replace(COMPARED, series=replace(SERIES, name="Renamed"), truth=None))
    assert panel.state is State.SUPER_RESOLVING


def test_the_phantom_needs_no_input() -> None:
    panel = Panel()
    process = panel.begin(Kind.PHANTOM)
    panel.presenter.set_images(INPUTS)
    panel.presenter.set_images(NOTHING)
    assert panel.state is State.SIMULATING
    process.complete(static="/s", dynamic="/d")
    assert panel.state is State.DONE
    assert not panel.content.fine_tune.enabled
    panel.presenter.set_images(INPUTS)
    assert panel.state is State.READY


def test_inputs_while_cancelling(panel: Panel) -> None:
    panel.bring_to(State.CANCELLING)
    panel.presenter.set_images(NOTHING)
    assert panel.state is State.CANCELLING
    panel.process.end(130)
    assert panel.state is State.NO_INPUT


# Scene closed, reload, quit


@pytest.mark.parametrize("state", State, ids=lambda s: s.name)
@pytest.mark.parametrize("end", ["complete", "cancelled", "crashed"])
def test_the_scene_is_closed(panel: Panel, state: State, end: str) -> None:
    panel.bring_to(state)
    before = len(panel.finished)
    panel.presenter.close_scene()
    running = state in RUNNING or state is State.CANCELLING
    assert panel.state is (State.CANCELLING if running else State.NO_INPUT)
    if running:
        assert panel.process.asked == ["start", "stop"]
        panel.process.say("frame", index=0, path="/f")
        {
            "complete": panel.process.complete,
            "cancelled": lambda: panel.process.end(130),
            "crashed": lambda: panel.process.end(None),
        }[end]()
    assert panel.state is State.NO_INPUT
    assert not panel.frames
    assert len(panel.finished) == before
    assert panel.content.failure == ""
    panel.presenter.close_scene()
    panel.presenter.set_images(COMPARED)
    assert panel.state is State.READY
    assert not panel.begin(Kind.SUPER_RESOLVE).request.resume


def test_another_scene_is_open_before_the_job_of_the_closed_one_has_ended(panel: Panel) -> None:
    process = panel.begin(Kind.SUPER_RESOLVE)
    panel.presenter.close_scene()
    panel.presenter.set_images(INPUTS)
    process.complete(output="/o")
    assert panel.state is State.READY
    assert not panel.finished


@pytest.mark.parametrize("state", State, ids=lambda s: s.name)
@pytest.mark.parametrize("polite", [True, False])
def test_shut_down(state: State, polite: bool) -> None:
    panel = Panel(COMPARED, lambda: FakeProcess(ends_when_stopped=polite and state is not State.CANCELLING))
    panel.bring_to(state)
    told = len(panel.contents), len(panel.finished)
    panel.presenter.shut_down()
    panel.presenter.shut_down()
    if state in RUNNING:
        assert panel.process.asked == ["start", "stop", *([] if polite else ["wait 3", "kill", "wait 5"])]
    assert panel.timer.waiting == 0, "nothing is called after the module is gone"
    if panel.processes:
        panel.process.complete()
    panel.presenter.set_images(INPUTS)
    with pytest.raises(RefusedError, match="being closed"):
        panel.presenter.make_sample_data()
    assert told == (len(panel.contents), len(panel.finished))


# How long it takes


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "10 s"),
        (9.9, "10 s"),
        (10, "10 s"),
        (11, "15 s"),
        (59, "60 s"),
        (60, "1 min"),
        (100, "2 min"),
        (3569, "59 min"),
        (3600, "1 h 0 min"),
        (9000, "2 h 30 min"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_steps_of_the_paper() -> None:
    assert fine_tuning_steps("quick", PRIOR) == 100
    assert fine_tuning_steps("paper", replace(PRIOR, matrix=(40, 30, 25))) == -(-17 * 7 * 2 // PAPER.batch)
    assert fine_tuning_steps("paper", replace(PRIOR, matrix=(24, 24, 4))) == 1
    with pytest.raises(KeyError):
        fine_tuning_steps("huge", PRIOR)


def test_voxels_of_a_result() -> None:
    assert result_voxels(SERIES, PRIOR, None) == pytest.approx(256 * 192 * 16)
    assert result_voxels(SERIES, None, 0.0625) == pytest.approx(256 * 192 * 16)
    assert result_voxels(SERIES, None, None) == 64 * 48 * 16


def test_estimates_are_cautious_and_learn() -> None:
    store: dict[str, object] = {}
    estimates = Estimates(store)
    assert estimates.fine_tuning("standard", "cpu", PRIOR) == pytest.approx(START + 300)
    assert estimates.fine_tuning("standard", "cuda:0", PRIOR) == pytest.approx(START + 30)
    assert estimates.fine_tuning("paper", "cpu", PRIOR) > 10_000
    for _ in range(10):
        estimates.learn_step("quick", "cpu", 0.2)
        estimates.learn_time_point("cpu", 1000, 3.0)
    assert estimates.fine_tuning("standard", "cpu", PRIOR) == pytest.approx(START + 60)
    assert estimates.super_resolution("cpu", 2000, 5) == pytest.approx(START + 30)
    assert Estimates(store).fine_tuning("quick", "cpu", PRIOR) == pytest.approx(START + 20)
    assert estimates.fine_tuning("quick", "cuda:0", PRIOR) == pytest.approx(START + 10), "each device for itself"
    estimates.learn_step("quick", "cpu", 0.4)
    assert estimates.fine_tuning("quick", "cpu", PRIOR) == pytest.approx(START + 30), "no run decides alone"


@pytest.mark.parametrize("value", ["0.5", 0.5])
def test_settings_may_come_back_as_text(value: object) -> None:
    assert Estimates({"secondsPerStep/default/cpu": value}).fine_tuning("quick", "cpu", PRIOR) == START + 50


@pytest.mark.parametrize("value", ["", "fast", None, [], "nan", "inf", "-1", 0])
def test_settings_that_are_no_speed(value: object) -> None:
    assert Estimates({"secondsPerStep/default/cpu": value}).fine_tuning("quick", "cpu", PRIOR) == START + 100


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_speed_is_not_learned(value: float) -> None:
    store: dict[str, object] = {}
    Estimates(store).learn_step("quick", "cpu", value)
    assert not store


def test_the_panel_tells_and_learns_how_long_it_takes(panel: Panel) -> None:
    panel.presenter.set_choices(Choices(device="cpu"))
    assert panel.content.budget_texts["standard"] == "Standard (about 5 min on this computer)"
    assert panel.content.super_resolve_text == "10 time points, about 3 min on this computer"
    process = panel.begin(Kind.FINE_TUNE)
    process.say("stage", name="Fine-tuning")
    for step in range(1, 301):
        panel.timer.advance(0.1)
        process.say("progress", done=step, total=300)
    process.complete()
    assert panel.content.budget_texts["standard"] == "Standard (about 40 s on this computer)"
    process = panel.begin(Kind.SUPER_RESOLVE)
    process.say("stage", name="Super-resolving")
    for step in range(1, 11):
        panel.timer.advance(1)
        process.say("progress", done=step, total=10)
    process.say("stage", name="Writing")
    process.complete()
    assert panel.content.super_resolve_text == "10 time points, about 20 s on this computer"
    panel.presenter.set_choices(Choices(device="cpu", time_point_selection=TimePoints.SHOWN))
    assert panel.content.super_resolve_text == "1 time point, about 15 s on this computer"


def test_what_has_gone_on_teaches_nothing(panel: Panel) -> None:
    panel.begin(Kind.SUPER_RESOLVE).end(None)
    process = panel.begin(Kind.SUPER_RESOLVE)
    process.say("stage", name="Super-resolving")
    for step in range(1, 11):
        panel.timer.advance(0.001)
        process.say("progress", done=step, total=10)
    process.complete()
    assert not panel.settings


def test_time_left() -> None:
    timer = FakeTimer()
    left = TimeLeft(timer)
    assert (left.fraction, left.seconds) == (None, None)
    left.update(0, 10)
    assert (left.fraction, left.seconds) == (0.0, None)
    for done in range(1, 6):
        timer.advance(2)
        left.update(done, 10)
    assert left.fraction == 0.5
    assert left.seconds == pytest.approx(10)
    timer.advance(1)
    assert left.seconds == pytest.approx(9)
    timer.advance(100)
    assert left.seconds == 0
    left.restart()
    assert (left.fraction, left.seconds) == (None, None)


def test_time_left_where_an_earlier_run_had_come_far() -> None:
    timer = FakeTimer()
    left = TimeLeft(timer)
    left.update(200, 300)
    assert left.seconds is None
    timer.advance(1)
    left.update(201, 300)
    assert left.seconds == pytest.approx(99)


def test_time_left_is_smooth_but_follows() -> None:
    timer = FakeTimer()
    left = TimeLeft(timer)
    for done in range(1, 101):
        timer.advance(1.5 if done % 2 else 0.5)
        left.update(done, 1000)
    assert left.seconds_per_step == pytest.approx(1, abs=0.1)
    for done in range(101, 200):
        timer.advance(3)
        left.update(done, 1000)
    assert left.seconds_per_step == pytest.approx(3, abs=0.1)


def test_progress_that_goes_back_does_no_harm() -> None:
    timer = FakeTimer()
    left = TimeLeft(timer)
    for done in (1, 2, 2, 1, 2):
        timer.advance(1)
        left.update(done, 10)
    assert left.seconds == pytest.approx(8)


# The loss curve


@pytest.mark.parametrize("count", [0, 1, 10, 11, 1000, 12_345])
def test_loss_curve_is_bounded_and_even(count: int) -> None:
    curve = LossCurve(10)
    for step in range(count):
        curve.add(step, 1 / (step + 1))
        assert len(curve.points) <= 11
    steps = [step for step, _ in curve.points]
    assert steps == sorted(set(steps))
    if count:
        assert steps[0] == 0
        assert steps[-1] == count - 1
        assert len(steps) >= min(count, 5)
        assert len({b - a for a, b in itertools.pairwise(steps[:-1])}) <= 1
    assert all(value == 1 / (step + 1) for step, value in curve.points)


def test_loss_curve_only_goes_on() -> None:
    curve = LossCurve()
    for step in (5, 6, 6, 3, 7):
        curve.add(step, 1.0)
    assert [step for step, _ in curve.points] == [5, 6, 7]


# With real workers


class RealPanel:
    """A presenter whose workers are the command line."""

    def __init__(self, patient: Patient, folder: Path) -> None:
        self.loop = Loop()
        self.frames: list[int] = []
        self.finished: list[tuple[Job, dict[str, Path]]] = []
        names = {Kind.FINE_TUNE: "m.safetensors", Kind.SUPER_RESOLVE: "sr.nii.gz", Kind.EVALUATE: "evaluation"}

        def prepare(kind: Kind) -> Stepwise[Files]:
            truth, result = patient.dynamic, folder / names[Kind.SUPER_RESOLVE]
            output = folder / names[kind]
            yield
            return Files(output, patient.static, patient.low, truth, result, baselines={"trilinear": patient.low})

        self.presenter = Presenter(
            lambda: Worker(RealProcess(self.loop), self.loop, INTERPRETER),
            lambda: "",
            prepare,
            self.loop,
            FakeTimer(),
            {},
        )
        self.presenter.frame_ready.connect(lambda number, path, model: self.frames.append(number))
        self.presenter.finished.connect(lambda job, outputs: self.finished.append((job, outputs)))
        self.presenter.set_choices(Choices(base_model=patient.model, device="cpu"))
        self.presenter.set_images(COMPARED)

    def wait(self) -> PanelContent:
        busy = (*RUNNING, State.CANCELLING)
        self.loop.run_until(lambda: self.presenter.state not in busy)
        return self.presenter.content


def test_super_resolve_and_evaluate_really(patient: Patient, tmp_path: Path) -> None:
    panel = RealPanel(patient, tmp_path)
    panel.presenter.super_resolve()
    assert panel.wait().failure == ""
    assert panel.frames == list(range(TIME_POINTS))
    panel.presenter.evaluate()
    assert panel.wait().failure == ""
    assert panel.presenter.state is State.DONE
    assert panel.finished[-1][1]["metrics"].is_file()


def test_cancel_fine_tuning_and_go_on_really(patient: Patient, tmp_path: Path) -> None:
    panel = RealPanel(patient, tmp_path)
    panel.presenter.fine_tune()
    panel.loop.run_until(lambda: bool(panel.presenter.content.loss))
    panel.presenter.cancel()
    assert panel.wait().state is State.READY
    assert [p.name for p in tmp_path.iterdir()] == ["m.state.safetensors"]
    panel.presenter.fine_tune()
    panel.loop.run_until(lambda: any("Resuming after step" in line for line in panel.presenter.content.log))
    panel.presenter.close_scene()
    assert panel.wait().state is State.NO_INPUT
    assert not panel.finished


def test_shut_down_really(patient: Patient, tmp_path: Path) -> None:
    panel = RealPanel(patient, tmp_path)
    panel.presenter.fine_tune()
    panel.loop.run_until(lambda: bool(panel.presenter.content.loss))
    panel.presenter.shut_down()
    assert not (tmp_path / "m.safetensors").exists()
