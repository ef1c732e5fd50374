"""``sr-dynamic-mri benchmark``: the paper's Table 3 on any data."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from ..acquisition.matrices import check_fraction
from ..benchmark.folder import BenchmarkFolder
from ..benchmark.run import Benchmark, run_benchmark
from ..benchmark.scenarios import Case, cases, typical_acquisition
from ..benchmark.subjects import find_subjects
from ..inference.suited import other_fraction, pretrained_model, start_of_fine_tuning
from ..io.locking import alone
from ..io.paths import make_folder
from ..io.times import frame_ranges
from ..models.budgets import TrainingBudget, budget_named
from ..models.checkpoints import load_model
from ..models.pretrained import PERCEPTUAL_NETWORK, pretrained_file
from ..process.distributed import is_first
from ..progress import Progress, tell
from ..requests import BenchmarkRequest
from .outputs import Outputs, require_matplotlib


def run(request: BenchmarkRequest, progress: Progress) -> Outputs:
    """Compare interpolation, base model and fine-tuned models on all subjects of a folder."""
    if request.figures:
        require_matplotlib()
    for fraction in request.fractions:
        check_fraction(fraction)
    compared, budget = cases(request.scenarios, request.fractions), budget_named(request.budget)
    files = {case: _models(request, case, budget) for case in compared}
    loaded = {file: load_model(file) for file in {file for pair in files.values() for file in pair}}
    bases, starts = ({case: loaded[files[case][n]] for case in compared} for n in (0, 1))
    benchmark = Benchmark(
        subjects=find_subjects(request.data, request.output, progress),
        bases=bases,
        starts=starts,
        budget=budget,
        frames=frame_ranges(request.frames),
        seed=request.seed,
        device=request.device,
        perceptual_network=request.perceptual_network or pretrained_file(PERCEPTUAL_NETWORK),
        figures=request.figures,
    )
    tell([sentence for case, base in bases.items() for sentence in other_fraction(base, case.fraction)], progress)
    if is_first():
        make_folder(request.output.parent)
    with alone(request.output) if is_first() else nullcontext():
        return run_benchmark(benchmark, BenchmarkFolder(request.output), progress=progress, resume=request.resume)


def _models(request: BenchmarkRequest, case: Case, budget: TrainingBudget) -> tuple[Path, Path]:
    """Files of the model after main training and of that which fine-tuning begins with."""
    if request.model is not None:
        return request.model, request.model
    acquisition = typical_acquisition(case)
    return pretrained_model(acquisition, fast=False), start_of_fine_tuning(acquisition, budget)
