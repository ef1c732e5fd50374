"""``sr-dynamic-mri evaluate``: image quality against the ground truth."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ..api import RESULT, comparable
from ..errors import InputError
from ..evaluation.outputs import write_evaluation
from ..io.files import file_name, read_series
from ..io.paths import make_folder
from ..io.times import frame_numbers
from ..progress import Progress
from ..requests import EvaluateRequest
from .outputs import Outputs, require_matplotlib


def run(request: EvaluateRequest, progress: Progress) -> Outputs:
    """Compare a result and baselines with the ground truth."""
    if request.figures:
        require_matplotlib()
    _check_names([name for name, _ in request.baseline])
    truth = read_series(request.truth)
    baselines = {name: read_series(path) for name, path in request.baseline}
    result = read_series(request.result)
    numbers = None if request.frames is None else frame_numbers(request.frames, len(truth))
    methods, chosen = comparable(result, truth, baselines, numbers, progress)
    make_folder(request.output.parent)
    with tempfile.TemporaryDirectory(dir=request.output.parent, prefix=".evaluating-") as name:
        reported = result.facts if request.figures else None
        made = write_evaluation(methods, chosen, Path(name), progress, reported)
        make_folder(request.output)
        return {name: path.replace(request.output / path.name) for name, path in made.items()}


def _check_names(names: list[str]) -> None:
    """Raise `InputError` unless the baselines can be told apart, from the result and as files."""
    files = [file_name(name) for name in (*names, RESULT)]
    if len(set(files)) < len(files):
        message = f"Every baseline needs its own name, and none may be called {RESULT}; rename them."
        raise InputError(message)
