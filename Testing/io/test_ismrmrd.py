"""Complex images of ISMRMRD files, compared with the phantom that they are simulated from."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.kspace_files import CALIBRATION, NAVIGATION, NOISE, REVERSED, TURNED, Scan, sensitivities
from helpers.operating_system import needs_posix
from ismrmrd import xsd

from SRDynamicMRILib.acquisition.kspace import to_image, to_kspace
from SRDynamicMRILib.acquisition.simulate import centre_of_kspace
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.io.coils import combined, prewhitening, reference_weights
from SRDynamicMRILib.io.ismrmrd import read_ismrmrd
from SRDynamicMRILib.phantom import abdomen

MATRIX = (24, 32)
FULL = (96, 128)


@cache
def objects() -> np.ndarray:
    """Complex phantom ``(2, 4, 96, 128)``, fat opposed to water."""
    phantom = abdomen(3, (4, *FULL), (2.7, 2.7, 8.0), time_points=2)
    parts = zip(phantom.dynamic, phantom.dynamic_phase, strict=True)
    return np.stack([image.data * np.exp(1j * phase.data) for image, phase in parts])


def scan(depth: int = 2, times: int = 2, **others: object) -> Scan:
    return Scan(objects()[:times, :depth], sensitivities(FULL), MATRIX, **others)


def expected(depth: int = 2, times: int = 2) -> np.ndarray:
    """What one coil would see that has the root of the sum of the squared sensitivities, at the acquired matrix.

    The coils' phases are constant, so that the reference coil's is, too: what is left is one phase for all images.
    """
    shading = np.sqrt((np.abs(sensitivities(FULL)) ** 2).sum(0))
    kspace = centre_of_kspace(to_kspace(objects()[:times, :depth] * shading), MATRIX)
    return to_image(kspace) * MATRIX[0] * MATRIX[1] / (FULL[0] * FULL[1])


def check_same(images: np.ndarray, truth: np.ndarray, error: float = 0.06) -> None:
    """Equal up to one factor and one phase for all time points and slices."""
    factor = np.vdot(truth, images) / np.vdot(truth, truth)
    assert np.linalg.norm(images - factor * truth) < error * np.linalg.norm(images)
    bright = np.abs(truth) > 0.2 * np.abs(truth).max()
    phases = np.angle(images / (factor * truth))[bright]
    assert np.abs(phases).mean() < 0.03 and np.quantile(np.abs(phases), 0.99) < 0.2


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_ismrmrd(path)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    return str(caught.value)


@pytest.mark.parametrize("three_dimensional", [False, True])
def test_magnitude_and_phase_are_those_of_the_phantom(three_dimensional: bool, tmp_path: Path) -> None:
    depth = 4 if three_dimensional else 2
    images, facts = read_ismrmrd(scan(depth, three_dimensional=three_dimensional).write(tmp_path / "k.h5"))
    check_same(np.stack(list(images)), expected(depth))
    assert (facts.acquired_matrix, facts.full_matrix, facts.coils) == (MATRIX, (48, 64), 4)
    assert (facts.partial_fourier, facts.partial_echo, facts.partial_slices, facts.noise) == (1, 1, 1, None)
    assert images.magnitude.facts["full_matrix"] == [48, 64] and images.magnitude.acquired_matrix == MATRIX
    assert any("no noise measurement" in sentence for sentence in images.magnitude.warnings)


def test_the_sign_of_opposed_fat_is_kept(tmp_path: Path) -> None:
    """A combination that took its phase from the low-resolution image would lose what changes quickly."""
    images, _ = read_ismrmrd(scan().write(tmp_path / "k.h5"))
    truth = expected()
    opposed = np.cos(np.angle(truth) - np.angle(truth.sum())) < -0.5
    assert opposed.mean() > 0.02, "the phantom has fat"
    values = np.stack(list(images))
    values = values / (np.vdot(truth, values) / np.vdot(truth, truth))
    assert np.linalg.norm((values - truth)[opposed]) < 0.15 * np.linalg.norm(truth[opposed])


@pytest.mark.parametrize("three_dimensional", [False, True])
def test_geometry(three_dimensional: bool, tmp_path: Path) -> None:
    depth = 4
    images, _ = read_ismrmrd(scan(depth, 1, three_dimensional=three_dimensional).write(tmp_path / "k.h5"))
    geometry = images.magnitude.geometry
    assert geometry.shape == (depth, *MATRIX)
    assert geometry.spacing == pytest.approx((10.0, 10.0, 5.0))
    np.testing.assert_allclose(np.reshape(geometry.direction, (3, 3)), TURNED, atol=1e-6)
    middle = (MATRIX[1] // 2, MATRIX[0] // 2, depth // 2 if three_dimensional else 0)
    np.testing.assert_allclose(geometry.position(middle), (10, 20, 30), atol=1e-4)


def test_slices_are_put_in_the_order_of_their_positions(tmp_path: Path) -> None:
    backwards = scan(3, 1, distance=-5.0)
    images, _ = read_ismrmrd(backwards.write(tmp_path / "k.h5"))
    check_same(np.stack(list(images)), expected(3, 1)[:, ::-1])
    np.testing.assert_allclose(images.magnitude.geometry.position((16, 12, 0)), (10, 20, 20), atol=1e-4)


def test_lines_of_every_order_with_others_between_them(tmp_path: Path) -> None:
    made = scan()
    for flag in (CALIBRATION, NAVIGATION):
        other = made._line(np.full((4, 10), 1e6), flag=flag)
        made.lines.insert(5, other)
    np.random.default_rng(0).shuffle(made.lines)
    images, _ = read_ismrmrd(made.write(tmp_path / "k.h5"))
    check_same(np.stack(list(images)), expected())


def test_averages_and_cardiac_phases(tmp_path: Path) -> None:
    made = scan(1)
    for line in made.lines:
        line.idx.repetition, line.idx.phase = 0, line.idx.repetition
    twice = scan(1)
    for line in twice.lines:
        line.idx.repetition, line.idx.phase, line.idx.average = 0, line.idx.repetition, 1
        line.data[:] *= 3
    made.lines += twice.lines
    images, _ = read_ismrmrd(made.write(tmp_path / "k.h5"))
    once, _ = read_ismrmrd(scan(1).write(tmp_path / "one.h5"))
    np.testing.assert_allclose(images[1], 2 * once[1], rtol=1e-3, atol=1e-3)


def test_times_of_siemens(tmp_path: Path) -> None:
    made = scan(1)
    made.header.acquisitionSystemInformation = xsd.acquisitionSystemInformationType(systemVendor="SIEMENS")
    for line in made.lines:
        line.acquisition_time_stamp = 40_000 + 200 * line.idx.repetition + line.idx.kspace_encode_step_1
    images, _ = read_ismrmrd(made.write(tmp_path / "k.h5"))
    assert images.magnitude.times == pytest.approx((0.0, 0.5))


def test_noise_is_made_independent_and_of_size_one(tmp_path: Path) -> None:
    mixing = 40 * (np.eye(4) + 0.8 * np.diag(np.ones(3), 1) + 0.3j * np.diag(np.ones(3), -1))
    empty = Scan(np.zeros((1, 2, *FULL)), sensitivities(FULL), MATRIX, noise=mixing)
    empty.lines[-1].data[:] += 1e-3
    images, facts = read_ismrmrd(empty.write(tmp_path / "k.h5"))
    assert facts.noise == 1.0 and not images.magnitude.warnings
    # Combining noise by weights that are taken from it raises it a little; whitened, it has the same size everywhere.
    signal = scan(2, 1, noise=mixing)
    noisy, _ = read_ismrmrd(signal.write(tmp_path / "noisy.h5"))
    quiet = scan(2, 1, noise=mixing)
    for line, clean in zip(quiet.lines[1:], scan(2, 1).lines, strict=True):
        line.data[:] = clean.data
    without, _ = read_ismrmrd(quiet.write(tmp_path / "quiet.h5"))
    bright = np.abs(without[0]) > 0.3 * np.abs(without[0]).max()
    difference = (noisy[0] - without[0])[bright]
    assert difference.real.std() == pytest.approx(1, abs=0.12) and difference.imag.std() == pytest.approx(1, abs=0.12)


def test_the_bandwidth_of_the_noise_measurement_counts(tmp_path: Path) -> None:
    made = scan(1, 1, noise=40 * np.eye(4))
    same, _ = read_ismrmrd(made.write(tmp_path / "same.h5"))
    made.lines[0].sample_time_us = 20.0
    made.header.acquisitionSystemInformation = xsd.acquisitionSystemInformationType(relativeReceiverNoiseBandwidth=0.64)
    other, _ = read_ismrmrd(made.write(tmp_path / "other.h5"))
    np.testing.assert_allclose(other[0], same[0] * 0.5 * 0.8, rtol=1e-3, atol=1e-3)


def test_partial_fourier_is_filled_with_zeros(tmp_path: Path) -> None:
    made = scan(1, 1)
    made.keep(lambda line: line.idx.kspace_encode_step_1 >= 6)
    images, facts = read_ismrmrd(made.write(tmp_path / "k.h5"))
    assert facts.partial_fourier == 0.75 and facts.acquired_matrix == MATRIX
    zeros = scan(1, 1)
    for line in zeros.lines[:6]:
        line.data[:] = 0
    filled, _ = read_ismrmrd(zeros.write(tmp_path / "zeros.h5"))
    np.testing.assert_allclose(images[0], filled[0], rtol=1e-3, atol=1e-3)


def test_an_asymmetric_readout_is_filled_with_zeros(tmp_path: Path) -> None:
    whole, made = scan(1, 1), scan(1, 1)
    for line in whole.lines:
        line.data[:, :16] = 0
    made.lines = [made._line(line.data[:, 16:], kspace_encode_step_1=n) for n, line in enumerate(made.lines)]
    for line in made.lines:
        line.center_sample = 16
    images, facts = read_ismrmrd(made.write(tmp_path / "k.h5"))
    filled, _ = read_ismrmrd(whole.write(tmp_path / "w.h5"))
    assert facts.partial_echo == 0.75 and facts.acquired_matrix == MATRIX
    assert any("Only 75% of the samples of the readout" in sentence for sentence in images.magnitude.warnings)
    np.testing.assert_allclose(images[0], filled[0], rtol=1e-3, atol=1e-3)


def test_a_file_without_directions(tmp_path: Path) -> None:
    made = scan(1, 1)
    for line in made.lines:
        for name in ("read_dir", "phase_dir", "slice_dir"):
            getattr(line, name)[:] = (0, 0, 0)
    images, _ = read_ismrmrd(made.write(tmp_path / "k.h5"))
    assert images.magnitude.geometry.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert any("does not say how its slices lie" in sentence for sentence in images.magnitude.warnings)


def changed(change: Callable[[Scan], object]) -> Callable[[Path], Path]:
    """A scan of two slices and one time point with something that cannot be read."""

    def write(path: Path) -> Path:
        made = scan(2, 1)
        change(made)
        return made.write(path)

    return write


def each(made: Scan, change: Callable[[object], object]) -> None:
    for line in made.lines:
        change(line)


def counter(name: str) -> Callable[[Scan], None]:
    return lambda made: setattr(made.lines[-1].idx, name, 1)


REFUSED: dict[str, tuple[Callable[[Scan], object], str]] = {
    "radial": (
        lambda s: setattr(s.encoding, "trajectory", xsd.trajectoryType.RADIAL),
        "has a radial trajectory, and only Cartesian",
    ),
    "EPI": (lambda s: s.lines[3].setFlag(REVERSED), "read backwards, as in EPI"),
    "undersampled": (
        lambda s: s.keep(lambda line: line.idx.kspace_encode_step_1 % 2 == 0 or line.idx.kspace_encode_step_1 == 23),
        "is undersampled, as in parallel imaging: time point 0 lacks 22 of 48 lines",
    ),
    "one line is missing": (lambda s: s.lines.pop(7), "time point 0 lacks 1 of 48 lines"),
    "half of k-space": (
        lambda s: s.keep(lambda line: line.idx.kspace_encode_step_1 >= 12),
        "samples too little on one side of the centre of k-space (0 and 12 rows)",
    ),
    "two encodings": (lambda s: s.header.encoding.append(s.encoding), "has 2 encodings"),
    "lines of another encoding": (lambda s: setattr(s.lines[0], "encoding_space_ref", 1), "another encoding than the"),
    "echoes": (counter("contrast"), "has 2 echoes, of which only one"),
    "sets": (counter("set"), "has 2 sets, of which only one"),
    "lines of different length": (
        lambda s: s.lines.append(s._line(np.ones((4, 20)), kspace_encode_step_1=3)),
        "lines of k-space of different length",
    ),
    "lines of fewer coils": (
        lambda s: s.lines.append(s._line(np.ones((3, 64)), kspace_encode_step_1=3)),
        "lines of k-space of different coils",
    ),
    "different orientations": (
        lambda s: s.lines[0].read_dir.__setitem__(slice(None), (0.0, 0.0, 1.0)),
        "lines of k-space of different orientation",
    ),
    "axes that are not at right angles": (
        lambda s: each(s, lambda line: line.read_dir.__setitem__(slice(None), (0.0, 0.0, 1.0))),
        "has axes that are not at right angles",
    ),
    "slices that move": (
        lambda s: s.lines[0].position.__setitem__(slice(None), (0.0, 0.0, 1.0)),
        "has slices that move",
    ),
    "slices in one place": (
        lambda s: each(s, lambda line: line.position.__setitem__(slice(None), (0.0, 0.0, 1.0))),
        "not parallel or not evenly spaced",
    ),
    "noise of other coils": (
        lambda s: s.lines.insert(0, s._line(np.random.default_rng(0).normal(size=(3, 90)), flag=NOISE)),
        "has a noise measurement of 3 coils, but images of 4",
    ),
    "hardly a field of view": (
        lambda s: setattr(s.encoding.reconSpace.fieldOfView_mm, "x", 1e-3),
        "has a field of view of less than two columns",
    ),
    "no field of view": (
        lambda s: setattr(s.encoding.encodedSpace.fieldOfView_mm, "y", 0.0),
        "does not say how large its field of view",
    ),
    "calibration only": (lambda s: each(s, lambda line: line.setFlag(CALIBRATION)), "has no lines of k-space"),
    "values that are not finite": (
        lambda s: s.lines[0].data.__setitem__((0, 0), np.nan),
        "not finite",
    ),
    "no signal": (lambda s: each(s, lambda line: line.data.fill(0)), "shows nothing"),
}


@pytest.mark.parametrize(("change", "phrase"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_read_is_refused(change: Callable[[Scan], object], phrase: str, tmp_path: Path) -> None:
    assert phrase in refusal(changed(change)(tmp_path / "k.h5"))


def test_several_slabs_are_refused(tmp_path: Path) -> None:
    one, other = (scan(4, 1, three_dimensional=True) for _ in range(2))
    for line in other.lines:
        line.idx.slice = 1
        line.position[:] = (10, 20, 130)
    one.lines += other.lines
    assert "has 2 slabs" in refusal(one.write(tmp_path / "k.h5"))


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20_000])


def text(path: Path) -> None:
    path.write_text("no HDF5")


def other_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["numbers"] = np.arange(3)


def two_datasets(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.copy("dataset", "one")
        file.move("dataset", "two")


def header_of(xml: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            file["dataset/xml"][0] = xml

    return change


def longer_lines(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        data = file["dataset/data"]
        for number in range(data.size):
            line = data[number]
            line["head"]["number_of_samples"] = 65535
            line["head"]["center_sample"] = 32768
            line["head"]["active_channels"] = 1024
            data[number] = line


def many_lines(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["dataset/data"].resize(10**12, axis=0)


DAMAGED = {
    "cut short": (cut_short, "damaged"),
    "text": (text, "damaged or not an ISMRMRD file"),
    "other HDF5": (other_hdf5, "holds no k-space as ISMRMRD has it"),
    "two datasets": (two_datasets, "holds 2 datasets; name the one to read dataset"),
    "no XML": (header_of(b"no header"), "damaged"),
    "header of another kind": (header_of(b"<a/>"), "damaged"),
    "claims of long lines": (longer_lines, "damaged or cut short"),
    "claims of many lines": (many_lines, "damaged or cut short"),
}


@pytest.mark.parametrize(("damage", "phrase"), DAMAGED.values(), ids=list(DAMAGED))
def test_damaged_files(damage: Callable[[Path], None], phrase: str, tmp_path: Path) -> None:
    path = scan(1, 1).write(tmp_path / "k.h5")
    damage(path)
    assert phrase in refusal(path)


@needs_posix
def test_a_list_that_claims_to_be_long_takes_no_memory(tmp_path: Path) -> None:
    path = scan(1, 1).write(tmp_path / "k.h5")
    with h5py.File(path) as file:
        kind, data = file["dataset/data"].id.get_type(), file["dataset/data"].id
        place = data.get_chunk_info(0).byte_offset + kind.get_member_offset(kind.get_member_index(b"data"))
    content = bytearray(path.read_bytes())
    content[place : place + 4] = (200_000_000).to_bytes(4, "little")  # of float32
    path.write_bytes(content)
    code = """
import resource, sys
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.io.ismrmrd import read_ismrmrd
import h5py, ismrmrd
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
before = peak()
try:
    read_ismrmrd(sys.argv[1])
except InputError as error:
    print(peak() - before, error)
"""
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    grown, _, sentence = done.stdout.partition(" ")
    assert "is damaged or cut short" in sentence
    assert int(grown) < 100 * 2**20


def test_a_compressed_file_is_refused_with_how_to_unpack_it(tmp_path: Path) -> None:
    path = scan(1, 1).write(tmp_path / "k.h5")
    with h5py.File(path, "r+") as file:
        values = file["dataset/data"][:]
        del file["dataset/data"]
        file["dataset"].create_dataset("data", data=values, dtype=values.dtype, chunks=(1,), compression="gzip")
    assert "is compressed; copy it with h5repack -f NONE k.h5 OUT.h5" in refusal(path)


def test_what_is_not_there(tmp_path: Path) -> None:
    assert "no file or folder" in refusal(tmp_path / "k.h5")
    assert "damaged or not an ISMRMRD file" in refusal(tmp_path)


@pytest.mark.parametrize("missing", ["ismrmrd", "h5py"])
def test_without_the_extra_the_command_to_install_it_is_said(missing: str, tmp_path: Path) -> None:
    path = scan(1, 1).write(tmp_path / "k.h5")
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from SRDynamicMRILib.io.ismrmrd import read_ismrmrd\n"
        f"read_ismrmrd({str(path)!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'needs the package ismrmrd; install it with pip install "SRDynamicMRI[kspace]".' in done.stderr


# Coils


def test_the_phase_of_the_reference_coil_is_all_that_is_added() -> None:
    y, x = np.meshgrid(np.linspace(-1, 1, 48), np.linspace(-1, 1, 40), indexing="ij")
    shades = sensitivities((48, 40)) * np.exp(1j * np.stack([y, x, -y, x * y]))
    thing = objects()[0, 0, 24:72, 44:84]
    images = thing * shades
    weights = reference_weights(images)
    image = combined(images, weights)
    bright = np.abs(thing) > 0.2 * np.abs(thing).max()
    reference = np.einsum("c,chw->hw", weights.conj(), shades)
    added = np.angle(image / (thing * reference))[bright]
    assert np.abs(added).mean() < 0.1
    rss = np.sqrt((np.abs(shades) ** 2).sum(0))
    np.testing.assert_allclose(np.abs(image)[bright], (np.abs(thing) * rss)[bright], rtol=0.1)


def test_prewhitening_gives_the_identity_as_covariance() -> None:
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(5, 5)) + 1j * rng.normal(size=(5, 5))
    noise = mixing @ (rng.normal(size=(5, 50_000)) + 1j * rng.normal(size=(5, 50_000)))
    white = prewhitening(noise) @ noise
    np.testing.assert_allclose(white @ white.conj().T / 100_000, np.eye(5), atol=1e-3)


@pytest.mark.parametrize(
    ("noise", "phrase"), [(np.ones((4, 3)), "fewer samples"), (np.zeros((4, 90)), "no noise in a coil")]
)
def test_a_noise_measurement_that_is_none(noise: np.ndarray, phrase: str) -> None:
    with pytest.raises(InputError, match=phrase):
        prewhitening(noise)
