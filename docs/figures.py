"""The figures of the documentation, made by the library itself: ``make figures`` (some minutes, the same every time).

The synthetic abdomen is all that is needed. What is drawn is computed here, nothing is taken from elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import architecture_picture
import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from scipy import ndimage

from SRDynamicMRILib import (
    Model,
    Series,
    Volume,
    downsample,
    evaluate,
    fine_tune,
    interpolate,
    load_model,
    super_resolve,
)
from SRDynamicMRILib.acquisition.acquisition import Acquisition, acquisition_of
from SRDynamicMRILib.acquisition.interpolation import non_negative, trilinear, trilinear_index, zero_filled
from SRDynamicMRILib.acquisition.kspace import crop_kspace, to_kspace
from SRDynamicMRILib.api import RESULT
from SRDynamicMRILib.evaluation.evaluation import Evaluation
from SRDynamicMRILib.geometry import FloatArray
from SRDynamicMRILib.models.pretrained import base_model
from SRDynamicMRILib.models.recipes import FRACTIONS
from SRDynamicMRILib.phantom import abdomen

FOLDER = Path(__file__).parent / "figures"
SHAPE, SPACING = (12, 144, 192), (1.8, 1.8, 6.0)
TIME_POINTS, SLICE, FRAME, FRACTION = 6, 6, 4, 0.0625
WHITE = 850  # intensity that is shown white
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#777777"
STYLE = {"font.family": "DejaVu Sans", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}


@dataclass(frozen=True)
class Example:
    """A synthetic patient, super-resolved at 6.25% of k-space."""

    prior: Volume
    truth: Series
    low: Series
    base: Series
    fine_tuned: Series
    model: Model
    evaluation: Evaluation


def example() -> Example:
    """Fine-tune the pretrained model on a planning scan and super-resolve the series of it."""
    phantom = abdomen(5, SHAPE, SPACING, time_points=TIME_POINTS)
    truth = Series.of(list(phantom.dynamic), phantom.dynamic.times)
    grid = truth.geometry
    low = Series.of([downsample(volume, FRACTION) for volume in truth], truth.times)
    base = load_model(base_model(FRACTION))
    model = fine_tune(phantom.static, low, model=base, budget="quick", precision="float32")
    of_base, of_tuned = (super_resolve(low, of, like=grid) for of in (base, model))
    baselines = {"zero-filled": interpolate(low, grid), "base model": of_base}
    evaluation = evaluate(of_tuned, truth, baselines=baselines).renamed({RESULT: "fine-tuned"})
    return Example(phantom.static, truth, low, of_base, of_tuned, model, evaluation)


def figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def save(drawing: Figure, name: str) -> None:
    """Write a figure without the time and the program that made it."""
    FOLDER.mkdir(exist_ok=True)
    drawing.savefig(FOLDER / f"{name}.png", dpi=110, metadata={"Software": None})


def show(axes: Axes, image: NDArray[np.floating], title: str, note: str = "", white: float = WHITE) -> None:
    """An image in grey, with its proportions, under a title."""
    axes.imshow(image, cmap="gray", vmin=0, vmax=white, interpolation="nearest")
    axes.set(title=title, xticks=[], yticks=[])
    axes.set_xlabel(note, color=GREY)
    axes.spines[:].set_visible(False)


def draw_kspace(image: FloatArray) -> Figure:
    """The centre of k-space that each fraction keeps, and the images that come of it."""
    drawing = figure(9.5, 2.05)
    axes = drawing.subplots(1, 5)
    show(axes[0], image, "full matrix", f"{image.shape[1]} x {image.shape[0]}")
    magnitude = np.log(np.abs(to_kspace(image)) + 1e3)
    axes[1].imshow(magnitude, cmap="gray", interpolation="nearest")
    axes[1].set(title="its k-space", xticks=[], yticks=[])
    axes[1].set_xlabel("log of the magnitude", color=GREY)
    axes[1].spines[:].set_visible(False)
    for place, fraction, colour in zip(axes[2:], FRACTIONS, (GREEN, ORANGE, BLUE), strict=True):
        rows, columns = Acquisition.centre((image.shape[0], image.shape[1]), fraction).acquired_matrix
        corner = (image.shape[1] // 2 - columns // 2 - 0.5, image.shape[0] // 2 - rows // 2 - 0.5)
        axes[1].add_patch(Rectangle(corner, columns, rows, fill=False, edgecolor=colour, linewidth=1.6))
        show(place, crop_kspace(image, (rows, columns)), f"{fraction:.2%}".replace(".00", ""), f"{columns} x {rows}")
        place.title.set_color(colour)
    return drawing


def draw_shift() -> Figure:
    """Where the samples of a low-resolution grid are, and what happens to a point if they are put elsewhere."""
    drawing = figure(9.5, 4.6)
    axes = drawing.subplot_mosaic("LLLL;ABCD", height_ratios=(1.15, 1.6))
    size, small = 16, 4
    step = size / small
    rows = (
        ("high resolution", np.arange(size), GREY, 5),
        ("by corners (index)", (np.arange(small) + 0.5) * step - 0.5, ORANGE, 10),
        ("by k-space", (np.arange(small) - small // 2) * step + size // 2, BLUE, 10),
    )
    for height, (_name, places, colour, width) in enumerate(rows):
        axes["L"].plot(places, np.full(len(places), -height), "o", color=colour, markersize=width)
    axes["L"].set_yticks([0, -1, -2], [name for name, *_ in rows])
    axes["L"].axvline(size // 2, color=BLUE, linewidth=0.8, linestyle=":")
    axes["L"].annotate(
        "sample N//2 keeps its place", (size // 2, 0.55), ha="center", va="bottom", color=BLUE, annotation_clip=False
    )
    axes["L"].annotate("", (10 - 0.5, -1.5), (8, -1.5), arrowprops={"arrowstyle": "<->", "color": ORANGE})
    axes["L"].text(8.75, -1.62, "1.5 voxels", color=ORANGE, ha="center", va="top")
    axes["L"].set(ylim=(-2.7, 0.5), xlim=(-1, size), xlabel="position in high-resolution voxels")
    axes["L"].spines["left"].set_visible(False)
    axes["L"].tick_params(left=False)

    rows_, columns = 48, 48
    point = np.zeros((rows_, columns), dtype=np.float32)
    point[24, 24] = 1
    point = np.asarray(ndimage.gaussian_filter(point, 1.2), dtype=np.float32)
    low = crop_kspace(point, (12, 12))
    images = {
        "A": ("a point, 48 x 48", point),
        "B": ("6.25%: 12 x 12", low),
        "C": ("back by corners", trilinear_index(low, (rows_, columns))),
        "D": ("back by positions", trilinear(low, (rows_, columns))),
    }
    for place, (title, image) in images.items():
        show(axes[place], image, title, white=float(image.max()))
        if place == "B":
            continue
        bright = np.where(image > 0.3 * image.max(), image, 0)
        y, x = ndimage.center_of_mass(bright)
        axes[place].axvline(24, color=BLUE, linewidth=0.7)
        axes[place].axhline(24, color=BLUE, linewidth=0.7)
        axes[place].plot(x, y, "+", color=ORANGE, markersize=10, markeredgewidth=1.6)
        distance = float(np.hypot(x - 24, y - 24))
        axes[place].set_xlabel(f"{distance:.2f} voxels off", color=GREY)
    return drawing


def draw_steps(case: Example) -> Figure:
    """One time point on its way through the method."""
    low, truth = case.low[FRAME].data[SLICE], case.truth[FRAME].data[SLICE]
    size = (truth.shape[0], truth.shape[1])
    filled, fed = zero_filled(low, size), non_negative(low, size)
    result = case.fine_tuned[FRAME].data[SLICE]
    drawing = figure(9.5, 4.6)
    axes = drawing.subplots(2, 3)
    show(axes[0, 0], case.prior.data[SLICE], "planning scan", "what the network is fine-tuned on")
    show(axes[0, 1], low, "1. acquired: 6.25% of k-space", f"{low.shape[1]} x {low.shape[0]}")
    show(axes[0, 2], filled, "zero-filled", "rings beside sharp edges")
    show(axes[1, 0], fed, "2. made non-negative", "what the network is fed with")
    show(axes[1, 1], result, "3. network, 4. acquired k-space put back", "the result")
    show(axes[1, 2], truth, "ground truth", "known here, because the data are synthetic")
    return drawing


def draw_consistency(case: Example) -> Figure:
    """What data consistency changes in k-space, and what it promises."""
    low, truth = case.low[FRAME].data[SLICE], case.truth[FRAME].data[SLICE]
    acquisition = acquisition_of(truth, low)
    other = case.prior.data[SLICE]
    drawing = figure(9.5, 2.35)
    axes = drawing.subplots(1, 4)
    mended = acquisition.project(other, low)
    show(axes[0], other, "any estimate", "here: the planning scan itself")
    show(axes[1], mended, "its centre replaced", "by the acquired k-space")
    for place, image, title in ((axes[2], other, "estimate"), (axes[3], mended, "after replacing")):
        off = np.abs(acquisition.downsample(image) - low)
        error = np.sqrt(np.mean((image - truth) ** 2))
        note = f"largest here {off.max():.3g}; RMSE to truth {error:.1f}"
        show(place, off, f"|downsampled - acquired|, {title}", note, white=200)
        place.title.set_fontsize(8)
        place.xaxis.label.set_fontsize(8)
    return drawing


def draw_gain(case: Example) -> Figure:
    """SSIM and PSNR of every time point."""
    drawing = figure(9.5, 2.8)
    axes = drawing.subplots(1, 2)
    for place, metric, label in ((axes[0], "ssim", "SSIM"), (axes[1], "psnr", "PSNR (dB)")):
        for name, colour in zip(case.evaluation.methods, (GREY, BLUE, ORANGE), strict=True):
            place.plot(case.truth.times, case.evaluation.values(name, metric), "o-", color=colour, label=name)
        place.set(xlabel="time (s)", ylabel=label)
    axes[0].legend(frameon=False)
    return drawing


def main() -> None:
    """Make all figures."""
    torch.set_num_threads(1)  # the order of sums, and with it the last digits, would depend on the threads
    architecture_picture.PICTURE.write_text(architecture_picture.drawing(), encoding="utf-8")
    with rc_context(STYLE):
        save(draw_shift(), "half_pixel_shift")
        case = example()
        save(draw_kspace(case.truth[FRAME].data[SLICE]), "kspace")
        save(draw_steps(case), "steps")
        save(draw_consistency(case), "data_consistency")
        save(draw_gain(case), "gain")


if __name__ == "__main__":
    main()
