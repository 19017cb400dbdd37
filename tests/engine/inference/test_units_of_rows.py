"""Rows of windows as units: in any order and by anyone, the same pixels to the last bit."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.contract.errors import OutputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference import assembly as assembly_module
from landslide_mapper.landslide_plugin.inference import tiling as tiling_module
from landslide_mapper.landslide_plugin.inference.predictor import Predictor
from landslide_mapper.landslide_plugin.inference.resume import Journal
from landslide_mapper.landslide_plugin.inference.runtimes.openvino_runtime import (
    OpenVinoRuntime,
    images_at_once,
)
from landslide_mapper.landslide_plugin.inference.runtimes.runtime import (
    Member,
    Retraced,
    Runtime,
    missing_packages,
)
from landslide_mapper.landslide_plugin.inference.runtimes.torch_runtime import TorchRuntime
from landslide_mapper.landslide_plugin.inference.semantic import compute_units, map_probability
from landslide_mapper.landslide_plugin.inference.tiling import Tiling
from landslide_mapper.landslide_plugin.inference.units import rows_together, units_of
from landslide_mapper.landslide_plugin.inference.windows import Reader
from landslide_mapper.landslide_plugin.raster import Source
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.registry import build

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
SMALL = {"growth_rate": 4, "layers": [1], "middle_layers": 1, "first_channels": 4}
CARD = ModelCard(
    name="small", architecture="fc_densenet", arguments=SMALL, task="semantic-segmentation",
    bands=["a", "b"], mean=[0.2, -0.1], std=[1.5, 0.5], resolution=10.0, tile_size=32,
    classes=["background", "landslide"],
)  # fmt: skip
SIZE, BATCH = 32, 3


class Counting:
    """A runtime that counts the windows it is asked for."""

    def __init__(self, runtime):
        self.windows = 0
        self._run = runtime.run
        self.name, self.device = runtime.name, runtime.device
        self.side_by_side, self.fixed_size = runtime.side_by_side, runtime.fixed_size

    def run(self, images):
        self.windows += len(images)
        return self._run(images)


class Job:
    """A stack and a model, whose windows are computed as one, or in units."""

    def __init__(self, path, overlap, runtime="torch"):
        torch.manual_seed(1)
        network = build("fc_densenet", 2, 2, **SMALL).eval()
        made: Runtime = TorchRuntime(network, CPU, half=False)
        if runtime != "torch":
            make = partial(OpenVinoRuntime.from_network, network, 2, False)
            made = Retraced(runtime, make, images_at_once())
        self.runtime = Counting(made)
        self.predictor = Predictor([Member(self.runtime, CARD)])
        self.path = path
        with Source.open(path) as source:
            self.grid = source.grid
        self.tiling = Tiling(self.grid.shape, SIZE, overlap)

    def units(self, least):
        return units_of(self.tiling, BATCH, least)

    def journal(self, folder):
        folder.mkdir(exist_ok=True)
        return Journal(folder, self.tiling, 1)

    def mapped(self, least, kept=None):
        """Return the whole map, made of units of so many rows of windows at least."""
        values = np.full((1, *self.grid.shape), np.nan, np.float32)
        valid, written = np.zeros(self.grid.shape, bool), np.zeros(self.grid.shape, int)

        def write(block, block_valid, window):
            rows, cols = window.toslices()
            assert written[: rows.start].all() and not written[rows.stop :].any()
            written[rows, cols] += 1
            values[:, rows, cols], valid[rows, cols] = block, block_valid

        with Source.open(self.path) as source:
            map_probability(
                self.predictor, Reader(source, CARD, self.tiling), self.grid, self.tiling, write,
                batch_size=BATCH, units=self.units(least), kept=kept, progress=Progress(),
            )  # fmt: skip
        assert (written == 1).all()
        return values, valid

    def compute(self, unit, journal):
        """Compute one unit alone, as another process might."""
        with Source.open(self.path) as source:
            compute_units(
                self.predictor, Reader(source, CARD, self.tiling), [unit], journal.keep,
                tiling=self.tiling, batch_size=BATCH, device=CPU, progress=Progress(),
            )  # fmt: skip


@pytest.fixture
def stack(make_raster):
    """Noise with holes: over a border of units, and a whole row of windows."""
    values = np.random.default_rng(0).normal(size=(2, 620, 90)).astype("float32")
    values[:, 180:260, 30:70] = -9999
    values[1, 400:480] = -9999
    return make_raster("s.tif", values, bands=["a", "b"], nodata=-9999)


def assert_same(maps, others):
    for one, other in zip(maps, others, strict=True):
        np.testing.assert_array_equal(one, other)


ONE = 10**6
"""Rows of windows a unit, so that there is one."""


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.6])
@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_in_units_every_bit_is_the_same_and_no_window_is_computed_twice(stack, overlap, runtime):
    if runtime == "openvino" and missing_packages("openvino"):
        pytest.skip("OpenVINO is not installed")
    job = Job(stack, overlap, runtime)
    whole, counts, windows = job.mapped(ONE), set(), job.runtime.windows
    for least in (1, 4, 8):
        job.runtime.windows = 0
        assert_same(job.mapped(least), whole)
        assert job.runtime.windows == windows
        counts.add(len(job.units(least)))
    assert min(counts) >= 2 and max(counts) >= 4


@pytest.mark.parametrize(("columns", "rows"), [(1, 2), (31, 2), (32, 1), (200, 1)])
def test_a_unit_is_two_rows_of_windows_and_one_of_a_wide_raster(columns, rows):
    tiling = Tiling((40 * SIZE, columns * SIZE), SIZE, 0)
    units = units_of(tiling, 1)
    together = -(-4 // columns)  # share batches
    assert {unit.end - unit.first for unit in units} == {max(rows, together)}


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(order=st.permutations(range(9)), count=st.integers(0, 9))
def test_units_are_finished_in_any_order_and_what_is_missing_is_computed(
    stack, tmp_path, order, count
):
    job = Job(stack, 0.25)
    journal, units = job.journal(tmp_path / "kept"), job.units(3)
    assert len(units) == 9
    for kept in (tmp_path / "kept").iterdir():
        kept.unlink()
    for number in order[:count]:
        job.compute(units[number], journal)
    assert_same(job.mapped(3, kept=journal), job.mapped(ONE))


def test_a_unit_that_is_finished_is_not_computed_again(stack, tmp_path):
    job = Job(stack, 0.25)
    journal = job.journal(tmp_path / "kept")
    job.mapped(3, kept=journal)
    job.runtime.windows = 0
    job.mapped(3, kept=journal)
    assert job.runtime.windows == 0
    (tmp_path / "kept" / "unit-000002.f32").unlink()
    job.mapped(3, kept=journal)
    rows = job.units(3)[2].end - job.units(3)[2].first
    assert job.runtime.windows == rows * len(job.tiling.cols)


def test_a_unit_that_is_still_written_is_none(stack, tmp_path):
    job = Job(stack, 0.25)
    journal, unit = job.journal(tmp_path / "kept"), job.units(3)[0]
    job.compute(unit, journal)
    (kept,) = (tmp_path / "kept").iterdir()
    assert journal.load(unit) is not None
    kept.rename(kept.with_suffix(".part"))
    assert journal.load(unit) is None


def test_units_that_are_lost_while_they_are_read_leave_no_gap(stack, tmp_path):
    job = Job(stack, 0.25)
    journal = job.journal(tmp_path / "kept")
    job.mapped(3, kept=journal)
    looks = []

    class Lost:
        def load(self, unit):
            looks.append(unit.number)
            return journal.load(unit) if looks.count(unit.number) == 1 else None

    with pytest.raises(OutputError, match="were changed while they were read"):
        job.mapped(3, kept=Lost())


@pytest.fixture
def wide(make_raster):
    """Noise, wider than high, with a hole."""
    values = np.random.default_rng(0).normal(size=(2, 330, 700)).astype("float32")
    values[:, 100:180, 230:290] = -9999
    return make_raster("wide.tif", values, bands=["a", "b"], nodata=-9999)


@pytest.fixture
def strips(monkeypatch):
    for module in (tiling_module, assembly_module):
        monkeypatch.setattr(module, "WIDEST", 256)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.6])
def test_a_wide_raster_is_cut_into_strips_and_mapped_as_without(wide, overlap, strips, monkeypatch):
    job = Job(wide, overlap)
    assert len(job.tiling.strips) == 3 and len(job.units(3)) > 6
    values, valid = job.mapped(3)
    with monkeypatch.context() as unpatched:
        unpatched.setattr(tiling_module, "WIDEST", 10**6)
        whole, whole_valid = Job(wide, overlap).mapped(3)
    assert_same([valid], [whole_valid])
    np.testing.assert_allclose(values, whole, rtol=0, atol=1e-6)


def test_strips_are_the_same_bits_whoever_computes_their_units(wide, tmp_path, strips):
    job = Job(wide, 0.25)
    journal, units = job.journal(tmp_path / "kept"), job.units(3)
    for number in np.random.default_rng(0).permutation(len(units))[: len(units) // 2]:
        job.compute(units[number], journal)
    job.runtime.windows = 0
    assert_same(job.mapped(3, kept=journal), job.mapped(3))
    assert 0 < job.runtime.windows < 2 * len(job.tiling)
    assert_same(job.mapped(3, kept=journal), job.mapped(ONE))


@settings(max_examples=200)
@given(
    length=st.integers(1, 900),
    size=st.integers(16, 64),
    overlap=st.floats(0, 0.9),
    widest=st.integers(1, 400),
)
def test_strips_hold_each_window_once_and_reach_no_farther_than_the_next(
    length, size, overlap, widest
):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tiling_module, "WIDEST", widest)
        tiling = Tiling((40, length), size, overlap)
    assert [col for strip in tiling.strips for col in strip] == list(range(len(tiling.cols)))
    units = [unit for unit in units_of(tiling, 1) if unit.first == 0]
    assert (units[0].left, units[0].beside, units[-1].right) == (0, 0, length)
    assert all(one.right - other.left == other.beside for one, other in pairwise(units))
    assert all(one.right <= other.left for one, other in zip(units, units[2:], strict=False))


@settings(max_examples=200)
@given(
    height=st.integers(1, 900),
    width=st.integers(1, 200),
    size=st.integers(16, 64),
    overlap=st.floats(0, 0.9),
    batch=st.integers(1, 6),
    least=st.integers(1, 5),
)
def test_units_are_whole_rows_that_share_no_batch_and_reach_no_farther_than_the_next(
    height, width, size, overlap, batch, least
):
    tiling = Tiling((height, width), size, overlap)
    assume(len(tiling.rows) < 300)
    units, together = units_of(tiling, batch, least), rows_together(tiling, batch)
    assert [unit.number for unit in units] == list(range(len(units)))
    assert (units[0].first, units[0].shared, units[-1].end) == (0, 0, len(tiling.rows))
    assert (units[0].top, units[-1].bottom) == (0, height)
    assert all(one.end == other.first for one, other in pairwise(units))
    assert all(unit.first % together == 0 for unit in units)
    assert all(unit.end - unit.first >= least for unit in units[:-1])
    assert all(one.bottom - other.top == other.shared for one, other in pairwise(units))
    assert all(one.bottom <= other.top for one, other in zip(units, units[2:], strict=False))
    for unit in units:
        rows = tiling.rows[unit.first : unit.end]
        assert sum(row.start < unit.top + unit.shared for row in rows) == unit.reaching
