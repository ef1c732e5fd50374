"""Patches: whatever the sizes, every voxel is covered and the average gives the volume back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from SRDynamicMRILib.inference.patches import (
    OverlapAverage,
    extract,
    next_multiple,
    pad_to,
    patch_positions,
    tiles,
)
from SRDynamicMRILib.inference.tiling import Layout, _by_patches, _by_tiles

PROPERTY = settings(max_examples=60, deadline=None)


def sizes(low: int, high: int) -> st.SearchStrategy[tuple[int, int, int]]:
    return st.tuples(*[st.integers(low, high)] * 3)


def noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).normal(100, 30, shape).astype(np.float32)


@PROPERTY
@given(sizes(1, 14), sizes(1, 7), sizes(1, 9), st.integers(1, 9))
def test_identity_by_patches_is_exactly_the_identity(
    shape: tuple[int, int, int], patch: tuple[int, int, int], stride: tuple[int, int, int], batch: int
) -> None:
    image = noise(shape)
    seen: list[tuple[int, ...]] = []

    def identity(images: np.ndarray) -> np.ndarray:
        seen.append(images.shape)
        return images

    assert np.array_equal(_by_patches(identity, image, patch, stride, batch), image)
    assert all(s[0] <= batch and s[1:] == patch for s in seen)


@PROPERTY
@given(sizes(1, 60), sizes(1, 12))
def test_identity_by_tiles_is_exactly_the_identity(shape: tuple[int, int, int], tile: tuple[int, int, int]) -> None:
    image = noise(shape)
    steps = (4 * tile[0], 4 * tile[1], 4 * tile[2])
    assert np.array_equal(_by_tiles(lambda images: images, image, steps, Layout(24, 4, 1, 1)), image)


@PROPERTY
@given(sizes(1, 12), sizes(0, 12), sizes(1, 15))
def test_positions_cover_the_volume_and_stay_inside(
    patch: tuple[int, int, int], more: tuple[int, int, int], stride: tuple[int, int, int]
) -> None:
    shape = tuple(p + m for p, m in zip(patch, more, strict=True))
    positions = patch_positions(shape, patch, stride)
    covered = np.zeros(shape, dtype=bool)
    for position in positions:
        part = extract(covered, position, patch)
        assert part.shape == patch
        part[...] = True
    assert covered.all()
    assert len(set(positions)) == len(positions)


def test_stride_one_visits_every_position() -> None:
    assert len(patch_positions((5, 6, 7), (3, 3, 3), (1, 1, 1))) == 3 * 4 * 5


@PROPERTY
@given(sizes(1, 8), sizes(1, 8))
def test_padding_repeats_the_edge_and_can_be_cut_off(shape: tuple[int, int, int], wanted: tuple[int, int, int]) -> None:
    image = noise(shape)
    padded, inner = pad_to(image, wanted)
    assert padded.shape == tuple(map(max, shape, wanted))
    assert np.array_equal(padded[inner], image)
    assert {padded.min(), padded.max()} == {image.min(), image.max()}


@PROPERTY
@given(sizes(1, 30), sizes(1, 12), st.integers(0, 9))
def test_tiles_cover_every_voxel_once_with_their_margin(
    shape: tuple[int, int, int], tile: tuple[int, int, int], halo: int
) -> None:
    times = np.zeros(shape, dtype=int)
    numbers = np.arange(times.size).reshape(shape)
    for outer, inner, core in tiles(shape, tile, halo):
        times[inner] += 1
        assert np.array_equal(numbers[outer][core], numbers[inner])
        for large, small, size in zip(outer, inner, shape, strict=True):
            assert large.start == max(0, small.start - halo)
            assert large.stop == min(size, small.stop + halo)
    assert (times == 1).all()


@PROPERTY
@given(sizes(1, 30), st.integers(1, 8))
def test_next_multiple_is_the_smallest(shape: tuple[int, int, int], step: int) -> None:
    for size, multiple in zip(shape, next_multiple(shape, step), strict=True):
        assert multiple % step == 0
        assert size <= multiple < size + step


def test_overlap_is_the_mean() -> None:
    average = OverlapAverage((1, 1, 3))
    average.add(np.array([[[1.0, 2.0]]]), (0, 0, 0))
    average.add(np.array([[[6.0, 5.0]]]), (0, 0, 1))
    assert average.mean().tolist() == [[[1, 4, 5]]]


def test_average_with_a_gap_is_refused() -> None:
    average = OverlapAverage((1, 1, 3))
    average.add(np.ones((1, 1, 2)), (0, 0, 0))
    with pytest.raises(ValueError, match="not covered"):
        average.mean()
