"""Comparison of super-resolved series with the ground truth, time point by time point."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from ..acquisition.body import body_mask
from ..acquisition.interpolation import resample
from ..errors import InputError
from ..geometry import FloatArray
from ..io.tables import write_table
from ..progress import Progress
from ..volume import Series
from .metrics import Metrics, compare, measure
from .significance import PairedTests, paired_tests

METRIC_NAMES = tuple(item.name for item in fields(Metrics))

CSV_HEADER = ("method", "region", "time_point", "time_s", *METRIC_NAMES)
"""Columns of the table of an evaluation."""


@dataclass(frozen=True)
class Evaluation:
    """Metrics of several methods on one series.

    Parameters
    ----------
    times
        Time of every time point in seconds.
    whole
        For every method its metrics per time point, over the whole volume.
    body
        The same over the body alone.
    """

    times: tuple[float, ...]
    whole: Mapping[str, Sequence[Metrics]]
    body: Mapping[str, Sequence[Metrics]]

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods, in the order of the tables."""
        return tuple(self.whole)

    def renamed(self, names: Mapping[str, str]) -> Evaluation:
        """Return the same with other names of some methods."""
        whole, body = ({names.get(m, m): rows for m, rows in table.items()} for table in (self.whole, self.body))
        return Evaluation(self.times, whole, body)

    def values(self, method: str, metric: str, body: bool = False) -> list[float]:
        """One metric of a method at every time point."""
        return [float(getattr(m, metric)) for m in (self.body if body else self.whole)[method]]

    def mean_sd(self, method: str, metric: str, body: bool = False) -> tuple[float, float]:
        """Mean and (sample) standard deviation over the time points; the latter 0 for a single one."""
        values = np.asarray(self.values(method, metric, body))
        return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else 0.0

    def test(self, method: str, other: str, metric: str, body: bool = False) -> PairedTests:
        """Paired tests of a metric of two methods."""
        return paired_tests(self.values(method, metric, body), self.values(other, metric, body))


KeepMap = Callable[[str, int, FloatArray], None]
"""Receives the SSIM map ``(D, H, W)`` of a method (by name) at a time point (by number)."""


def align(methods: Mapping[str, Series], truth: Series, progress: Progress | None = None) -> dict[str, Series]:
    """Bring all series to the grid of the truth, by linear resampling where they lie on another one.

    Grids that differ by no more than files round positions count as one (`Geometry.same_grid`).

    Parameters
    ----------
    methods
        Series by the name of the method that made it.
    truth
        The ground truth.
    progress
        Told what is resampled.

    Raises
    ------
    InputError
        If the numbers of time points differ, or a grid does not overlap that of the truth.
    """
    aligned = {}
    for name, series in methods.items():
        if len(series) != len(truth):
            message = (
                f"{name} has {len(series)} time points but the ground truth has {len(truth)}; "
                "give series of the same length, or choose time points with --frames."
            )
            raise InputError(message)
        if series.geometry == truth.geometry:
            aligned[name] = series
            continue
        if not series.geometry.overlaps(truth.geometry):
            message = f"{name} and the ground truth do not overlap in space; check that both are of the same patient."
            raise InputError(message)
        if not series.geometry.same_grid(truth.geometry):
            (progress or Progress()).log(f"{name} lies on another grid than the ground truth and is resampled to it.")
        aligned[name] = series.map(lambda volume: resample(volume, truth.geometry), truth.geometry)
    return aligned


def evaluate(
    methods: Mapping[str, Series],
    truth: Series,
    progress: Progress | None = None,
    keep_map: KeepMap | None = None,
) -> Evaluation:
    """Compare every method with the ground truth.

    Parameters
    ----------
    methods
        Series by the name of the method that made it; see `align`.
    truth
        The ground truth.
    progress
        Told about every time point.
    keep_map
        Given every SSIM map as soon as it is made, so that a long series needs no more memory than a short one.

    Raises
    ------
    InputError
        If the numbers of time points differ, or a grid does not overlap that of the truth.
    """
    progress = progress or Progress()
    methods = align(methods, truth, progress)
    whole: dict[str, list[Metrics]] = {name: [] for name in methods}
    body: dict[str, list[Metrics]] = {name: [] for name in methods}
    progress.stage("Evaluating")
    for number in range(len(truth)):
        reference = truth[number]
        mask = body_mask(reference.data)
        peak = float(reference.data.max())
        for name, series in methods.items():
            result = series[number].data
            metrics, similarity = compare(result, reference.data)
            whole[name].append(metrics)
            body[name].append(measure(result / peak, reference.data / peak, similarity, mask))
            if keep_map is not None:
                keep_map(name, number, similarity.astype(np.float32))
        progress.step(number + 1, len(truth))
    return Evaluation(truth.times, whole, body)


def summary(evaluation: Evaluation, result: str) -> dict[str, object]:
    """Means, standard deviations and p-values of an evaluation, as JSON can hold them.

    Parameters
    ----------
    evaluation
        The metrics.
    result
        Name of the method that the others are tested against.
    """
    methods = {
        region: {
            name: {metric: evaluation.mean_sd(name, metric, region == "body") for metric in METRIC_NAMES}
            for name in evaluation.methods
        }
        for region in ("whole", "body")
    }
    tests = {
        name: {metric: asdict(evaluation.test(result, name, metric)) for metric in ("ssim", "psnr")}
        for name in evaluation.methods
        if name != result
    }
    return {"time_points": len(evaluation.times), "mean_sd": methods, f"{result}_against": tests}


def as_text(evaluation: Evaluation, result: str) -> str:
    """Means over the time points and p-values as text; parameters as for `summary`."""
    width = max(len(name) for name in evaluation.methods)
    lines = [f"{'':{width}}  SSIM            PSNR (dB)       SD of difference  p (t-test, SSIM)"]
    for name in evaluation.methods:
        ssim, psnr, spread = (evaluation.mean_sd(name, m) for m in ("ssim", "psnr", "difference_sd"))
        p = "" if name == result else f"{evaluation.test(result, name, 'ssim').t_test:.2g}"
        lines.append(
            f"{name:{width}}  {ssim[0]:.4f}+-{ssim[1]:.4f}  {psnr[0]:6.2f}+-{psnr[1]:5.2f}   "
            f"{spread[0]:.4f}+-{spread[1]:.4f}    {p}"
        )
    return "\n".join(lines)


def csv_rows(evaluation: Evaluation, numbers: Sequence[int] | None = None) -> Iterator[list[str]]:
    """Yield the lines of a table: `CSV_HEADER`, for every method, region and time point.

    Parameters
    ----------
    evaluation
        The metrics.
    numbers
        What the time points are called; 0, 1, 2, ... if not given.
    """
    numbers = range(len(evaluation.times)) if numbers is None else numbers
    for region, table in (("whole", evaluation.whole), ("body", evaluation.body)):
        for method, rows in table.items():
            for number, time, row in zip(numbers, evaluation.times, rows, strict=True):
                values = [f"{getattr(row, name):.8g}" for name in METRIC_NAMES]
                yield [method, region, str(number), f"{time:.6g}", *values]


def write_csv(evaluation: Evaluation, path: Path) -> None:
    """Write one line per method, region and time point.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    write_table(CSV_HEADER, csv_rows(evaluation), path)
