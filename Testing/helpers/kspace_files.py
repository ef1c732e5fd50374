"""ISMRMRD files of a scan that is simulated: an object seen by some coils."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np
from ismrmrd import xsd

from SRDynamicMRILib.acquisition.kspace import to_kspace
from SRDynamicMRILib.acquisition.simulate import centre_of_kspace

NOISE, CALIBRATION, NAVIGATION, REVERSED = 19, 20, 23, 22
TURNED = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
"""Directions of readout, phase encoding and slices, in columns."""


def sensitivities(shape: Sequence[int], count: int = 4) -> np.ndarray:
    """Sensitivities ``(C, H, W)`` of coils around the field of view, each of a phase of its own."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    angles = 2 * np.pi * np.arange(count) / count
    phases = np.exp(1j * np.random.default_rng(1).uniform(-np.pi, np.pi, count))
    distances = [(y - np.sin(angle)) ** 2 + (x - np.cos(angle)) ** 2 for angle in angles]
    return phases[:, None, None] * np.exp(-np.stack(distances) / 2)


@dataclass
class Scan:
    """A scan: what is in it can be changed before it is written.

    Parameters
    ----------
    objects
        Complex objects ``(T, D, H, W)``, to be seen through `coils`.
    coils
        Sensitivities ``(C, H, W)``.
    matrix
        Rows and columns ``(h, w)`` to acquire.
    """

    objects: np.ndarray
    coils: np.ndarray
    matrix: tuple[int, int]
    field_of_view: tuple[float, float, float] = (320.0, 240.0, 5.0)
    three_dimensional: bool = False
    distance: float = 5.0
    noise: np.ndarray | None = None
    """Mixing matrix ``(C, C)`` of the noise; with it, a noise measurement comes first."""
    lines: list[ismrmrd.Acquisition] = field(default_factory=list)
    header: Any = None

    def __post_init__(self) -> None:
        rng = np.random.default_rng(2)
        if self.noise is not None:
            self.lines.append(self._line(self._noise(rng, (len(self.coils), 4000)), flag=NOISE))
        depth, (rows, columns) = self.objects.shape[1], self.matrix
        for time, volume in enumerate(self.objects):
            kspace = self._kspace(volume)
            if self.noise is not None:
                kspace = kspace + np.moveaxis(self._noise(rng, (len(self.coils), depth, rows, 2 * columns)), 0, 1)
            for part in range(depth):
                for row in range(rows):
                    counters = {"kspace_encode_step_1": row, "repetition": time}
                    counters["kspace_encode_step_2" if self.three_dimensional else "slice"] = part
                    self.lines.append(self._line(kspace[part, :, row], **counters))
        self.header = self._header()

    def _kspace(self, volume: np.ndarray) -> np.ndarray:
        """k-space ``(D, C, h, 2 w)``: the readout has twice the field of view; unitary for the acquired matrix."""
        height, width = volume.shape[-2:]
        seen = volume[:, None] * self.coils
        wide = np.zeros((*seen.shape[:-1], 2 * width), dtype=complex)
        wide[..., width // 2 : width // 2 + width] = seen
        rows, columns = self.matrix
        kspace = centre_of_kspace(to_kspace(wide), (rows, 2 * columns)) / (height * 2 * width)
        kspace = kspace * np.sqrt(rows * 2 * columns)
        if self.three_dimensional:
            moved = np.fft.fft(np.fft.ifftshift(kspace, axes=0), axis=0, norm="ortho")
            kspace = np.fft.fftshift(moved, axes=0)
        return kspace

    def _noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return np.tensordot(self.noise, rng.normal(size=shape) + 1j * rng.normal(size=shape), 1)

    def _line(self, samples: np.ndarray, flag: int | None = None, **counters: int) -> ismrmrd.Acquisition:
        line = ismrmrd.Acquisition.from_array(np.ascontiguousarray(samples, dtype=np.complex64))
        line.center_sample = samples.shape[1] // 2
        line.sample_time_us = 5.0
        for axis, name in enumerate(("read_dir", "phase_dir", "slice_dir")):
            getattr(line, name)[:] = TURNED[:, axis].tolist()
        line.position[:] = (
            np.array([10.0, 20.0, 30.0]) + self.distance * counters.get("slice", 0) * TURNED[:, 2]
        ).tolist()
        for name, value in counters.items():
            setattr(line.idx, name, value)
        if flag is not None:
            line.setFlag(flag)
        return line

    def _header(self) -> Any:
        (rows, columns), depth = self.matrix, self.objects.shape[1] if self.three_dimensional else 1
        x, y, z = self.field_of_view
        limits = xsd.encodingLimitsType()
        limits.kspace_encoding_step_1 = _limit(rows)
        limits.kspace_encoding_step_2 = _limit(depth)
        encoding = xsd.encodingType(
            encodedSpace=xsd.encodingSpaceType(
                matrixSize=xsd.matrixSizeType(x=2 * columns, y=rows, z=depth),
                fieldOfView_mm=xsd.fieldOfViewMm(x=2 * x, y=y, z=z * depth),
            ),
            reconSpace=xsd.encodingSpaceType(
                matrixSize=xsd.matrixSizeType(x=2 * columns, y=2 * rows, z=depth),
                fieldOfView_mm=xsd.fieldOfViewMm(x=x, y=y, z=z * depth),
            ),
            encodingLimits=limits,
            trajectory=xsd.trajectoryType.CARTESIAN,
        )
        conditions = xsd.experimentalConditionsType(H1resonanceFrequency_Hz=123_000_000)
        return xsd.ismrmrdHeader(experimentalConditions=conditions, encoding=[encoding])

    @property
    def encoding(self) -> Any:
        """The encoding in the header."""
        return self.header.encoding[0]

    def keep(self, which: Callable[[ismrmrd.Acquisition], bool]) -> None:
        """Leave lines out."""
        self.lines = [line for line in self.lines if which(line)]

    def write(self, path: Path) -> Path:
        """Write the file and return its name."""
        with ismrmrd.Dataset(str(path), mode="w") as dataset:
            dataset.write_xml_header(xsd.ToXML(self.header).encode())
            for line in self.lines:
                dataset.append_acquisition(line)
        return path


def _limit(count: int) -> Any:
    return xsd.limitType(minimum=0, maximum=count - 1, center=count // 2)


def small_scan(time_points: int = 1, **others: Any) -> Scan:
    """A scan of two slices of random blobs, 24 x 32."""
    blobs = np.random.default_rng(0).random((time_points, 2, 12, 16)).repeat(4, axis=-1).repeat(4, axis=-2)
    return Scan(blobs * np.exp(1j * blobs), sensitivities((48, 64)), (24, 32), **others)
