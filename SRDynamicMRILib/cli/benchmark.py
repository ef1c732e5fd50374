"""``sr-dynamic-mri benchmark``: the paper's Table 3 on any data."""

from __future__ import annotations

from contextlib import nullcontext

from ..acquisition.matrices import check_fraction
from ..benchmark.folder import BenchmarkFolder
from ..benchmark.run import Benchmark, run_benchmark
from ..benchmark.subjects import find_subjects
from ..inference.suited import other_fraction
from ..io.locking import alone
from ..io.paths import make_folder
from ..io.times import frame_ranges
from ..models.budgets import budget_named
from ..models.checkpoints import load_model
from ..models.pretrained import PERCEPTUAL_NETWORK, base_model, pretrained_file, start_model
from ..process.distributed import is_first
from ..progress import Progress
from ..requests import BenchmarkRequest
from .outputs import Outputs, require_matplotlib


def run(request: BenchmarkRequest, progress: Progress) -> Outputs:
    """Compare interpolation, base model and fine-tuned models on all subjects of a folder."""
    if request.figures:
        require_matplotlib()
    fractions = list({f"{fraction:g}": fraction for fraction in request.fractions}.values())
    for fraction in fractions:
        check_fraction(fraction)
    bases = {fraction: load_model(request.model or base_model(fraction)) for fraction in fractions}
    budget = budget_named(request.budget)
    starts = bases
    if request.model is None and budget.steps is not None:
        starts = {fraction: load_model(start_model(fraction)) for fraction in fractions}
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
    for fraction, base in bases.items():
        for sentence in other_fraction(base, fraction):
            progress.warn(sentence)
    if is_first():
        make_folder(request.output.parent)
    with alone(request.output) if is_first() else nullcontext():
        return run_benchmark(benchmark, BenchmarkFolder(request.output), progress=progress, resume=request.resume)
