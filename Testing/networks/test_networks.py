"""Networks: the published U-Net, its receptive field, the vessel network and the perceptual loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.inference.tiling import _by_tiles, _layout, _on, _tile_shape
from SRDynamicMRILib.losses.perceptual import PerceptualLoss, load_encoder
from SRDynamicMRILib.losses.registry import VOXEL_LOSSES, loss_named
from SRDynamicMRILib.models.checkpoints import save_tensors
from SRDynamicMRILib.networks.sub_pixel import SubPixelNetwork
from SRDynamicMRILib.networks.unet import GRID_STEP, HALO, UNet3D, average_pool
from SRDynamicMRILib.networks.vessel_unet import VesselEncoder, VesselUNet

pytestmark = pytest.mark.usefixtures("one_thread")

PROPERTY = settings(max_examples=20, deadline=None)
CPU = torch.device("cpu")

sizes = st.tuples(*[st.integers(1, 13)] * 3)

PUBLISHED_KEYS = {
    f"{layer}.{kind}"
    for layer in (
        *(f"down_path.{level}.block.{number}" for level in range(3) for number in (0, 2)),
        *(f"up_path.{level}.up" for level in range(2)),
        *(f"up_path.{level}.conv_block.block.{number}" for level in range(2) for number in (0, 2)),
        "last",
    )
    for kind in ("weight", "bias")
}


def unet(features: int, seed: int = 0) -> UNet3D:
    """A network with biases, which a new one does not have."""
    torch.manual_seed(seed)
    network = UNet3D(features).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.1)
    return network


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_parameters_are_as_many_as_published() -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in UNet3D(64).parameters()) == 5_418_177


def test_state_has_the_published_names() -> None:
    with torch.device("meta"):
        state = UNet3D(64).state_dict()
    assert set(state) == PUBLISHED_KEYS
    assert tuple(state["up_path.0.up.weight"].shape) == (256, 128, 2, 2, 2)
    assert tuple(state["up_path.1.conv_block.block.0.weight"].shape) == (64, 128, 3, 3, 3)


@PROPERTY
@given(sizes)
def test_any_size_goes_in_and_comes_out(size: tuple[int, int, int]) -> None:
    with torch.inference_mode():
        output = unet(2)(noise(2, 1, *size))
    assert output.shape == (2, 1, *size)
    assert torch.isfinite(output).all()


@PROPERTY
@given(st.tuples(*[st.integers(2, 9)] * 3))
def test_average_pool_is_torchs(size: tuple[int, int, int]) -> None:
    x = noise(2, 3, *size)
    torch.testing.assert_close(average_pool(x), F.avg_pool3d(x, 2))


def test_average_pool_leaves_an_axis_of_one_voxel_alone() -> None:
    x = noise(1, 2, 1, 6, 5)
    torch.testing.assert_close(average_pool(x), F.avg_pool3d(x, (1, 2, 2)))


def reference_forward(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """The network of the paper's section 2.2, written down from its state."""

    def convolutions(name: str, x: Tensor) -> Tensor:
        for number in (0, 2):
            layer = f"{name}.block.{number}"
            x = F.relu(F.conv3d(x, state[f"{layer}.weight"], state[f"{layer}.bias"], padding=1))
        return x

    def pool(x: Tensor) -> Tensor:
        return F.avg_pool3d(x, tuple(min(2, n) for n in x.shape[2:]))

    def up(name: str, x: Tensor, bridge: Tensor) -> Tensor:
        x = F.conv_transpose3d(x, state[f"{name}.up.weight"], state[f"{name}.up.bias"], stride=2)
        x = F.interpolate(x, size=bridge.shape[2:], mode="trilinear", align_corners=False)
        return convolutions(f"{name}.conv_block", torch.cat([x, bridge], dim=1))

    first = convolutions("down_path.0", x)
    second = convolutions("down_path.1", pool(first))
    third = convolutions("down_path.2", pool(second))
    merged = up("up_path.1", up("up_path.0", third, second), first)
    return F.conv3d(merged, state["last.weight"], state["last.bias"])


@PROPERTY
@given(sizes, st.integers(0, 1000))
def test_forward_is_that_of_the_paper(size: tuple[int, int, int], seed: int) -> None:
    network = unet(4, seed)
    x = noise(2, 1, *size, seed=seed)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), reference_forward(network.state_dict(), x), rtol=1e-4, atol=1e-5)


def test_new_network_neither_damps_nor_blows_up_its_features() -> None:
    torch.manual_seed(0)
    network = UNet3D(16)
    with torch.inference_mode():
        deep = noise(1, 1, 8, 24, 24)
        for level in network.down_path:
            deep = level(deep)
    assert 0.1 < deep.pow(2).mean().sqrt() < 10


@pytest.mark.parametrize("axis", [2, 3, 4])
def test_halo_covers_the_receptive_field(axis: int) -> None:
    # With positive weights no path through the network is cut, and the gradient shows all of them.
    network = UNet3D(1).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_().add_(0.1)
    shape = [1, 1, 4, 4, 4]
    shape[axis] = 4 * HALO
    x = torch.ones(shape, dtype=torch.double, requires_grad=True)
    output = network(x)
    reach = 0
    for voxel in range(2 * HALO, 2 * HALO + GRID_STEP):
        (gradient,) = torch.autograd.grad(output.select(axis, voxel).sum(), x, retain_graph=True)
        seen = gradient.abs().sum(tuple(a for a in range(5) if a != axis)).nonzero().flatten()
        reach = max(reach, voxel - int(seen.min()), int(seen.max()) - voxel)
    assert 20 <= reach <= HALO


@pytest.mark.parametrize(("axis", "least"), [(2, 7), (3, 14), (4, 14)])
def test_halo_covers_the_receptive_field_of_sub_pixels(axis: int, least: int) -> None:
    network = SubPixelNetwork(1, 2).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_().add_(0.1)
    shape = [1, 1, 2, 2, 2]
    shape[axis] = 3 * network.halo
    x = torch.ones(shape, dtype=torch.double, requires_grad=True)
    finer = network.factor if axis > 2 else 1
    middle = shape[axis] // 2
    (gradient,) = torch.autograd.grad(network(x).select(axis, finer * middle).sum(), x)
    seen = gradient.abs().sum(tuple(a for a in range(5) if a != axis)).nonzero().flatten()
    assert least <= max(middle - int(seen.min()), int(seen.max()) - middle) <= network.halo


def test_sub_pixels_lie_where_their_voxel_does() -> None:
    network = SubPixelNetwork(1, 2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.first[0].weight[0, 0, 1, 1, 1] = 1  # what comes in goes through the trunk as it is
        network.last.weight[:, 0, 0, 1, 1] = torch.tensor([1.0, 2.0, 3.0, 4.0])
    x = torch.tensor([[5.0, 7.0]]).reshape(1, 1, 1, 1, 2)
    with torch.inference_mode():
        assert network(x)[0, 0, 0].tolist() == [[5, 10, 7, 14], [15, 20, 21, 28]]


@pytest.mark.parametrize(
    ("shape", "tile"),
    [
        ((5, 6, 71), (4, 4, 8)),
        ((4, 67, 9), (4, 12, 8)),
        ((66, 5, 8), (20, 64, 64)),
        ((4, 58, 71), (4, 32, 64)),
        ((4, 64, 72), (8, 32, 36)),
    ],
)
def test_tiles_give_what_the_whole_gives(shape: tuple[int, int, int], tile: tuple[int, int, int]) -> None:
    network = unet(2)
    image = noise(*shape).numpy()
    whole = _by_tiles(_on(network, CPU), image, (128, 128, 128), _layout(network))
    np.testing.assert_allclose(_by_tiles(_on(network, CPU), image, tile, _layout(network)), whole, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "tile"), [((5, 6, 71), (4, 5, 8)), ((3, 47, 9), (3, 12, 8)), ((41, 5, 8), (9, 5, 8))]
)
def test_tiles_of_sub_pixels_give_what_the_whole_gives(shape: tuple[int, int, int], tile: tuple[int, int, int]) -> None:
    network = SubPixelNetwork(2, 3).eval()
    image = noise(*shape).numpy()
    whole = _by_tiles(_on(network, CPU), image, (128, 128, 128), _layout(network))
    assert whole.shape == (shape[0], 3 * shape[1], 3 * shape[2])
    np.testing.assert_allclose(_by_tiles(_on(network, CPU), image, tile, _layout(network)), whole, atol=1e-4)


def test_a_single_tile_is_the_network_itself() -> None:
    network = unet(2)
    image = noise(4, 12, 16)
    with torch.inference_mode():
        expected = network(image[None, None])[0, 0].numpy()
    found = _by_tiles(_on(network, CPU), image.numpy(), (4, 12, 16), _layout(network))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("memory", [1 << 20, 1 << 24, 1 << 28, 1 << 34])
def test_tiles_begin_on_the_networks_grid_and_shrink_with_memory(memory: int) -> None:
    tile = _tile_shape(_layout(UNet3D(4)), (30, 200, 301), memory)
    assert all(t % GRID_STEP == 0 for t in tile)
    larger = _tile_shape(_layout(UNet3D(4)), (30, 200, 301), 2 * memory)
    assert all(a <= b for a, b in zip(tile, larger, strict=True))
    if memory == 1 << 34:
        assert tile == (32, 200, 304)


@PROPERTY
@given(sizes)
def test_vessel_encoder_halves_the_grid_between_levels(size: tuple[int, int, int]) -> None:
    with torch.inference_mode():
        found = VesselEncoder(2).eval()(noise(2, 1, *size))
    expected = [size]
    for _ in range(2):
        expected.append(tuple(max(1, n // 2) for n in expected[-1]))
    assert [tuple(f.shape) for f in found] == [(2, 2 * 2**n, *s) for n, s in enumerate(expected)]


@pytest.mark.parametrize("size", [(16, 16, 16), (9, 15, 22)])
def test_vessel_network_gives_a_full_size_answer_from_every_level(size: tuple[int, int, int]) -> None:
    with torch.inference_mode():
        logits = VesselUNet(2).eval()(noise(1, 1, *size))
    assert [tuple(x.shape) for x in logits] == [(1, 1, *size)] * 3


def test_vessel_networks_finest_answer_comes_first() -> None:
    torch.manual_seed(0)
    network = VesselUNet(2).eval()
    x = noise(1, 1, 8, 8, 8)
    with torch.inference_mode():
        before = network(x)
        network.heads[-1].weight.add_(1)
        after = network(x)
    assert [bool((a == b).all()) for a, b in zip(before, after, strict=True)] == [False, True, True]


def encoder(features: int = 2) -> VesselEncoder:
    """An encoder whose batch normalisation has seen something."""
    torch.manual_seed(3)
    network = VesselEncoder(features).train()
    with torch.no_grad():
        network(2 + 3 * noise(2, 1, 16, 16, 16))
    return network


def test_perceptual_loss_of_equal_images_is_zero() -> None:
    x = noise(1, 1, 8, 8, 8)
    assert PerceptualLoss(encoder())(x, x.clone()) == 0


def test_perceptual_loss_is_the_sum_over_three_levels() -> None:
    network = encoder()
    state = network.state_dict()
    output, target = noise(2, 1, 8, 9, 12), noise(2, 1, 8, 9, 12, seed=1)

    def features(x: Tensor) -> list[Tensor]:
        found = []
        for level in range(3):
            x = F.max_pool3d(x, 2) if level else x
            for number in (0, 3):
                names = [f"levels.{level}.conv.{number}.{kind}" for kind in ("weight", "bias")]
                x = F.conv3d(x, state[names[0]], state[names[1]], padding=1)
                norm = f"levels.{level}.conv.{number + 1}."
                shape = (1, -1, 1, 1, 1)
                mean, variance = (state[f"{norm}running_{kind}"].view(shape) for kind in ("mean", "var"))
                weight, bias = (state[f"{norm}{kind}"].view(shape) for kind in ("weight", "bias"))
                x = F.relu((x - mean) / torch.sqrt(variance + 1e-5) * weight + bias)
            found.append(x)
        return found

    expected = sum((a - b).abs().mean() for a, b in zip(features(output), features(target), strict=True))
    torch.testing.assert_close(PerceptualLoss(network)(output, target), expected, rtol=1e-4, atol=1e-6)


def test_perceptual_network_is_frozen() -> None:
    loss = PerceptualLoss(encoder())
    before = {name: tensor.clone() for name, tensor in loss.state_dict().items()}
    output = noise(1, 1, 8, 8, 8).requires_grad_()
    loss(output, noise(1, 1, 8, 8, 8, seed=1)).backward()
    assert not any(parameter.requires_grad for parameter in loss.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in loss.state_dict().items())


def test_perceptual_loss_leads_the_output_towards_the_target() -> None:
    loss = PerceptualLoss(encoder())
    target = noise(1, 1, 8, 8, 8)
    output = noise(1, 1, 8, 8, 8, seed=1).requires_grad_()
    value = loss(output, target)
    value.backward()
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()
    assert output.grad.abs().sum() > 0
    assert loss(output.detach() - 1e-2 * output.grad / output.grad.norm(), target) < value


def test_encoder_is_read_from_a_file(tmp_path: Path) -> None:
    network = encoder()
    save_tensors(network.state_dict(), {}, tmp_path / "vessel.safetensors")
    output, target = noise(1, 1, 8, 8, 8), noise(1, 1, 8, 8, 8, seed=1)
    expected = PerceptualLoss(network)(output, target)
    loss = loss_named("perceptual", CPU, tmp_path / "vessel.safetensors")
    torch.testing.assert_close(loss(output, target), expected)


@pytest.mark.parametrize("left_out", ["levels.0.conv.0.weight", "levels.2.conv.4.running_var"])
def test_file_without_an_encoder_is_refused(tmp_path: Path, left_out: str) -> None:
    state = {name: tensor for name, tensor in encoder().state_dict().items() if name != left_out}
    save_tensors(state, {}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="perceptual network"):
        load_encoder(tmp_path / "other.safetensors")


def test_perceptual_loss_without_its_network_is_refused() -> None:
    with pytest.raises(InputError, match="needs a perceptual network"):
        loss_named("perceptual", CPU, None)


def test_new_loss_is_a_function_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VOXEL_LOSSES, "l2", F.mse_loss)
    output, target = noise(1, 1, 4, 4, 4), noise(1, 1, 4, 4, 4, seed=1)
    assert loss_named("l2", CPU, None)(output, target) == ((output - target) ** 2).mean()
    monkeypatch.undo()
    with pytest.raises(InputError, match="no loss named l2; use one of charbonnier, perceptual"):
        loss_named("l2", CPU, None)
