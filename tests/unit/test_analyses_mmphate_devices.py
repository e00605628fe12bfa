"""MM-PHATE on torch tensors gives the numbers of NumPy arrays: on the CPU here, on a CUDA device where there is one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from scipy.spatial import procrustes

from rnnreport.analyses.mmphate import device as devices
from rnnreport.analyses.mmphate.device import CPU, Device, best_device, fetched
from rnnreport.analyses.mmphate.diffusion import (
    diffuse,
    landmark_labels,
    potential,
    potential_distances,
    singular_values,
)
from rnnreport.analyses.mmphate.embed import EmbedParams, components, embed
from rnnreport.analyses.mmphate.kernel import Kernel, KernelParams, grown_kernel, multislice_kernel
from rnnreport.analyses.mmphate.layout import LayoutParams, classical_scaling, lay_out
from rnnreport.analyses.mmphate.pairs import squared_distances
from rnnreport.analyses.mmphate.threads import each, threads
from rnnreport.results.recorded import Doubles
from tests.courses import planted

GPU = (pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"))
DEVICES = [pytest.param(Device("CUDA", "cuda"), id="cuda", marks=GPU), pytest.param(Device("torch", "cpu"), id="cpu")]


def activity() -> Doubles:
    """Of a planted training: float64 (120 slices, 12 units, 20 samples)."""
    found = planted(0, epochs=12, steps=10, samples=20, per_community=3).activity
    return found.reshape(120, *found.shape[2:]).astype(np.float64)


def degenerate() -> Doubles:
    """The same with two units that are nearly equal and one that is constant."""
    slices = activity()
    slices[:, 1] = slices[:, 0] + 1e-7 * slices[:, 2]
    slices[:, 4] = 0.5
    return slices


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    return multislice_kernel(activity(), KernelParams(), CPU)


@pytest.fixture(scope="module")
def operator(kernel: Kernel) -> Doubles:
    return diffuse(kernel, landmark_labels(kernel.nodes, 400, 0)).operator


def same_kernel(found: Kernel, expected: Kernel, tolerance: float) -> None:
    assert found.sigma == pytest.approx(expected.sigma, abs=tolerance)
    np.testing.assert_array_equal(found.matrix.indptr, expected.matrix.indptr)
    np.testing.assert_array_equal(found.matrix.indices, expected.matrix.indices)
    np.testing.assert_allclose(found.matrix.data, expected.matrix.data, rtol=0, atol=tolerance)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("made", [activity, degenerate])
def test_the_kernel_is_the_same(device: Device, made: Callable[[], Doubles]) -> None:
    expected = multislice_kernel(made(), KernelParams(), CPU)
    found = multislice_kernel(made(), KernelParams(tile=50), device)
    assert found.device == device
    same_kernel(found, expected, 1e-12)
    begun = multislice_kernel(made()[:-10], KernelParams(), device)
    grown = grown_kernel(begun, made(), KernelParams())
    assert grown.device == device
    same_kernel(grown, expected, 1e-12)


@pytest.mark.parametrize("device", DEVICES)
def test_distances_that_cancel_are_those_of_differences(device: Device) -> None:
    draw = np.random.default_rng(0)
    points = draw.normal(size=(3, 8, 5))
    points[:, 4:] = points[:, :4] + 1e-9 * draw.normal(size=(3, 4, 5))
    expected = ((points[:, :, None] - points[:, None]) ** 2).sum(axis=-1)
    found = fetched(squared_distances(device.put(points), device.put(points)))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=0)
    assert 0 < found[0, 0, 4] < 1e-15
    pair = fetched(squared_distances(device.put(points[1, :2]), device.put(points[1])))
    np.testing.assert_allclose(pair, expected[1, :2], rtol=1e-6, atol=0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("gamma", [0, 0.5, 1])
def test_diffusion_is_the_same(operator: Doubles, device: Device, gamma: float) -> None:
    np.testing.assert_allclose(singular_values(device.put(operator)), singular_values(operator), rtol=0, atol=1e-9)
    here, there = potential(operator, 13, gamma), potential(device.put(operator), 13, gamma)
    assert here.dtype == np.float32 and fetched(there).dtype == np.float32
    np.testing.assert_allclose(fetched(there), here, rtol=1e-4, atol=1e-5)
    apart = potential_distances(there)
    expected = np.sqrt(((here[:, None].astype(np.float64) - here[None]) ** 2).sum(axis=2))
    np.testing.assert_allclose(fetched(apart), expected, rtol=1e-3, atol=1e-3 * float(expected.max()))
    assert fetched(apart).dtype == np.float64 and (fetched(apart).diagonal() == 0).all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_layouts_are_the_same(operator: Doubles, device: Device, dimensions: int) -> None:
    distances = potential_distances(potential(operator, 13, 0))
    there = device.put(distances)
    scaled = classical_scaling(distances, dimensions, 0)
    np.testing.assert_allclose(
        classical_scaling(there, dimensions, 0, device), scaled, atol=1e-8 * np.abs(scaled).max()
    )
    expected = lay_out(distances, dimensions, LayoutParams())
    found = lay_out(there, dimensions, LayoutParams(), device=device)
    assert found.stress == pytest.approx(expected.stress, rel=1e-6)
    assert procrustes(expected.points, found.points)[2] <= 1e-6
    warm = lay_out(there, dimensions, LayoutParams(), start=expected.points, device=device)
    assert warm.iterations <= 5 and procrustes(expected.points, warm.points)[2] <= 1e-6


@pytest.mark.parametrize("device", DEVICES)
def test_the_whole_picture_is_the_same(kernel: Kernel, device: Device) -> None:
    params = EmbedParams(landmarks=300)
    expected = embed(kernel, params)
    found = embed(multislice_kernel(activity(), KernelParams(), device), params)
    assert (found.t, found.landmarks, found.components) == (expected.t, expected.landmarks, expected.components)
    np.testing.assert_allclose(found.entropy, expected.entropy, rtol=1e-9)
    assert procrustes(expected.plane, found.plane)[2] <= 1e-6
    assert procrustes(expected.space, found.space)[2] <= 1e-6
    assert found.space_stress == pytest.approx(expected.space_stress, rel=1e-4)  # where the iteration stops


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_cuda_device_is_taken_and_named() -> None:
    assert best_device().torch == "cuda" and torch.cuda.get_device_name() in best_device().name
    assert multislice_kernel(activity(), KernelParams()).device == best_device()


def test_torch_is_not_imported_where_there_is_no_driver() -> None:
    script = (
        "import sys; from rnnreport.analyses.mmphate import device;"
        "device._DRIVER = 'no-such-driver.so'; print(device.best_device().name, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["CPU", "False"]


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """As if a driver were installed: any library that can be loaded."""
    monkeypatch.setattr(devices.ctypes, "CDLL", lambda name: None)
    best_device.cache_clear()
    yield monkeypatch
    best_device.cache_clear()


def test_the_cpu_is_taken_where_torch_is_missing_or_finds_no_device(driver: pytest.MonkeyPatch) -> None:
    driver.setattr(torch.cuda, "is_available", lambda: False)
    assert best_device() == CPU
    best_device.cache_clear()
    driver.setitem(sys.modules, "torch", None)
    assert best_device() == CPU


def test_a_device_that_torch_finds_is_taken(driver: pytest.MonkeyPatch) -> None:
    driver.setattr(torch.cuda, "is_available", lambda: True)
    driver.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    assert best_device() == Device("CUDA, Some GPU", "cuda")


def test_single_precision_is_kept_and_given_back() -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        with Device("torch", "cpu").full_precision():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)


def test_more_threads_give_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for many in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", many)
        assert threads() == int(many)
        kernel = multislice_kernel(activity(), KernelParams(), CPU)
        found.append((kernel.matrix, embed(kernel, EmbedParams(landmarks=600))))
    (one_matrix, one), (three_matrix, three) = found
    assert one_matrix.data.tobytes() == three_matrix.data.tobytes()
    for name in ("plane", "space", "entropy"):
        assert getattr(one, name).tobytes() == getattr(three, name).tobytes()


@pytest.mark.parametrize("many", ["1", "3"])
def test_results_come_in_order_and_errors_come_out(monkeypatch: pytest.MonkeyPatch, many: str) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", many)
    assert list(each(lambda item: item**2, range(7))) == [item**2 for item in range(7)]
    with pytest.raises(ZeroDivisionError):
        list(each(lambda item: 1 // item, [2, 1, 0, 3]))


@pytest.mark.parametrize(("asked", "most"), [("", 4), ("1", 1), ("2,1", 2), ("64", 4), ("nonsense", 4), ("0", 1)])
def test_threads_are_those_that_the_environment_allows(monkeypatch: pytest.MonkeyPatch, asked: str, most: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert 1 <= threads() <= most


def test_components_are_those_of_the_whole_graph() -> None:
    from scipy.sparse.csgraph import connected_components

    draw = np.random.default_rng(0)
    counts = set()
    for spread in (0.5, 3, 50, 1000):  # slices in three bundles, more or less far from each other
        bundles = spread * draw.normal(size=(3, 4, 6))[draw.integers(0, 3, 40)] + draw.normal(size=(40, 4, 6))
        kernel = multislice_kernel(bundles, KernelParams(inter_neighbours=2))
        expected = connected_components(kernel.matrix, directed=False)[0]
        assert components(kernel) == expected
        counts.add(expected)
    assert len(counts) > 1
