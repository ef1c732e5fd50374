"""The output folder of a benchmark: what is to be done, and where each finished piece of it goes.

The pieces, fine-tuned models and the metrics of single time points, are there as a whole or not at all. The plan in it
tells such a folder from those of others.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..io.files import file_name
from ..io.image_files import written_whole
from ..io.paths import read_bounded
from ..requests import ScenarioName
from .scenarios import Case
from .table3 import FINE_TUNED, MAIN

_KEY = "SRDynamicMRI benchmark"

_FORMER: Any = [""]
"""Scenarios of a plan of former versions, which had one and did not name it, in names of files neither."""


@dataclass(frozen=True)
class TimePoints:
    """What is compared of one subject.

    Parameters
    ----------
    voxels
        Hash of the planning scan and of the time points.
    numbers
        Time points of the series.
    times
        Their times in seconds.
    left_out
        Time points that are the planning scan itself: a model would be tested on what it was fine-tuned on.
    """

    voxels: str
    numbers: Sequence[int]
    times: Sequence[float]
    left_out: Sequence[int]

    @property
    def shown(self) -> list[int]:
        """Positions in `numbers` of the time points that figures show: first, middle, last."""
        last = len(self.numbers) - 1
        return sorted({0, self.middle, last})

    @property
    def left_out_sentence(self) -> str:
        """What is to be said of the time points that are left out."""
        if len(self.left_out) == 1:
            return f"time point {self.left_out[0]} is the planning scan itself and is left out of the comparison."
        numbers = ", ".join(map(str, self.left_out))
        return f"time points {numbers} are the planning scan itself and are left out of the comparison."

    @property
    def middle(self) -> int:
        """Position in `numbers` of the time point that most figures show."""
        return len(self.numbers) // 2


@dataclass(frozen=True)
class Plan:
    """What a benchmark will do; two that are equal give the same results.

    Parameters
    ----------
    settings
        All that results depend on but the images.
    scenarios
        How the low-resolution series are made.
    fractions
        Shares of k-space.
    subjects
        What is compared of each subject, by its name.
    """

    settings: Mapping[str, Any]
    scenarios: Sequence[ScenarioName]
    fractions: Sequence[float]
    subjects: Mapping[str, TimePoints]

    @property
    def cases(self) -> list[Case]:
        """Every scenario with every fraction."""
        return [Case(scenario, fraction) for scenario in self.scenarios for fraction in self.fractions]

    @property
    def pairs(self) -> list[tuple[str, Case]]:
        """Every subject with every case: what is fine-tuned for."""
        return [(subject, case) for subject in self.subjects for case in self.cases]

    def to_json(self) -> str:
        """The plan as JSON."""
        return json.dumps({_KEY: asdict(self)}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` has written.

        Raises
        ------
        ValueError, KeyError, TypeError
            If it is something else.
        """
        content = json.loads(text)[_KEY]
        subjects = {name: TimePoints(**points) for name, points in content["subjects"].items()}
        return cls(content["settings"], content.get("scenarios", _FORMER), content["fractions"], subjects)


@dataclass(frozen=True)
class BenchmarkFolder:
    """The output folder of a benchmark: where each piece goes.

    Parameters
    ----------
    path
        The folder.
    """

    path: Path

    @property
    def job(self) -> Path:
        """The plan of the benchmark; a folder without it was not made by this software."""
        return self.path / "job.json"

    @property
    def models(self) -> Path:
        """Folder of the fine-tuned models."""
        return self.path / "models"

    @property
    def time_points(self) -> Path:
        """Folder of the metrics of every time point."""
        return self.path / "time_points"

    @property
    def figures(self) -> Path:
        """Folder of the figures."""
        return self.path / "figures"

    @property
    def outputs(self) -> dict[str, Path]:
        """The files that sum up the benchmark, by what they are."""
        names = {
            "metrics": "benchmark.csv",
            "table": "table3.csv",
            "summary": "benchmark.json",
            "report": "report.html",
        }
        return {what: self.path / name for what, name in names.items()}

    def model(self, subject: str, case: Case) -> Path:
        """File of a fine-tuned model."""
        return self.models / f"{_pair_name(subject, case)}.safetensors"

    def state(self, subject: str, case: Case) -> Path:
        """File of an unfinished fine-tuning."""
        return self.model(subject, case).with_suffix(".state.safetensors")

    def timing(self, subject: str, case: Case) -> Path:
        """File that says how long a fine-tuning took."""
        return self.model(subject, case).with_suffix(".json")

    def metrics(self, subject: str, case: Case, number: int) -> Path:
        """File with the metrics of a time point."""
        return self.time_points / _pair_name(subject, case) / f"{number:04d}.json"

    def image(self, subject: str, case: Case, number: int, method: str) -> Path:
        """File of a super-resolved time point that a figure shows."""
        return self.metrics(subject, case, number).with_name(f"{number:04d}_{file_name(method)}.nii.gz")

    def figure(self, name: str) -> Path:
        """File of a figure."""
        return self.figures / f"{file_name(name)}.png"

    def begin(self, plan: Plan, resume: bool) -> None:
        """Make the folder ready for a plan: with its results so far if it is to be resumed, else without any.

        Raises
        ------
        InputError
            If it cannot be made, has files of others in the way, or another plan that was to be resumed.
        """
        earlier = self._earlier()
        if resume and earlier is not None and earlier != Plan.from_json(plan.to_json()):
            message = (
                f"The results in {self.path} come from other data, another model or other settings, so they cannot be "
                "resumed; run without --resume to start anew."
            )
            raise InputError(message)
        try:
            if earlier is not None and not resume:
                self._clear(earlier)
            self.path.mkdir(parents=True, exist_ok=True)
            with written_whole(self.job) as temporary:
                temporary.write_text(plan.to_json(), encoding="utf-8")
            for folder in self._folders(plan):
                folder.mkdir(exist_ok=True)
                for cut_short in folder.glob(".writing-*"):
                    shutil.rmtree(cut_short, ignore_errors=True)
        except OSError as error:
            message = f"Cannot write to {self.path}: {error.strerror}; choose another place for the output."
            raise InputError(message) from error

    def plan(self) -> Plan:
        """The plan that the first process has made."""
        return Plan.from_json(read_bounded(self.job).decode("utf-8"))

    def _earlier(self) -> Plan | None:
        """Plan of an earlier benchmark in this folder, if there is one and nothing else is in the way."""
        in_the_way = self.path
        if not self.path.exists():
            return None
        if self.path.is_dir():
            with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
                return self.plan()
            ours = (self.job, self.models, self.time_points, self.figures, *self.outputs.values())
            found = [path for path in ours if path.exists()]
            if not found:
                return None
            in_the_way = found[0]
        message = f"{in_the_way} is in the way and was not made by this software; move it or choose another output."
        raise InputError(message)

    def _folders(self, plan: Plan) -> list[Path]:
        pairs = [self.time_points / _pair_name(*pair) for pair in plan.pairs]
        return [self.models, self.figures, self.time_points, *pairs]

    def _clear(self, plan: Plan) -> None:
        """Delete what a benchmark of that plan has made, and no other file."""
        for pair in plan.pairs:
            made = [self.model(*pair), self.state(*pair), self.timing(*pair)]
            for number in plan.subjects[pair[0]].numbers:
                made += [self.metrics(*pair, number), *(self.image(*pair, number, m) for m in (MAIN, FINE_TUNED))]
            for file in made:
                file.unlink(missing_ok=True)
        for file in (*self.outputs.values(), *(self.figure(name) for name in _figure_names(plan))):
            file.unlink(missing_ok=True)
        for folder in reversed(self._folders(plan)):
            with suppress(OSError):  # someone has put other files there
                folder.rmdir()


def figure_name(kind: str, scenario: str, subject: str = "") -> str:
    """Name of a figure of a scenario, about a subject or all of them."""
    return "_".join(part for part in (kind, subject, scenario) if part)


def _figure_names(plan: Plan) -> list[str]:
    """Names of all figures that a report may have made."""
    about_one = ("figure3", "figure4", "figure5", "over_time")
    return [
        name
        for scenario in plan.scenarios
        for name in (
            figure_name("figure6", scenario),
            *(figure_name(kind, scenario, subject) for subject in plan.subjects for kind in about_one),
        )
    ]


def _pair_name(subject: str, case: Case) -> str:
    parts = (file_name(subject), file_name(case.scenario), f"{case.fraction:g}")
    return "_".join(part for part in parts if part)
