"""How a raster is read to look for undeclared fill: once, by threads that each open it."""

import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.raster import Grid, Source, undeclared
from landslide_mapper.landslide_plugin.raster.undeclared import find_fill
from rasterio.windows import Window

RGB = ("blue", "green", "red")
ROWS = 7


@pytest.fixture
def folder(make_raster, tmp_path):
    """An image with a black strip in six tiles, whose blocks lie in several of them."""
    image = np.random.default_rng(0).integers(5, 250, (3, 60, 70)).astype(np.uint16)
    image[:, :, :8] = 0
    (tmp_path / "tiles").mkdir()
    with rasterio.open(make_raster("whole.tif", image, bands=RGB)) as whole:
        for number, (row, column) in enumerate(np.ndindex(3, 2)):
            window = Window(35 * column, 20 * row, 35, 20)
            name, part = f"tiles/{number}.tif", whole.read(window=window)
            make_raster(name, part, bands=RGB, transform=whole.window_transform(window))
    return tmp_path


@pytest.fixture
def opened(monkeypatch):
    """The sources that were opened once more; blocks are of few rows."""
    monkeypatch.setattr(Grid, "rows_within", lambda *_: ROWS)
    sources, again = [], Source.again

    def counted(source):
        sources.append(again(source))
        return sources[-1]

    monkeypatch.setattr(Source, "again", counted)
    return sources


@pytest.mark.parametrize("name", ["whole.tif", "tiles"])
@pytest.mark.parametrize("cores", [1, 2, 16])
def test_threads_find_what_one_does(folder, opened, monkeypatch, name, cores):
    monkeypatch.setattr(undeclared, "cores", lambda: cores)
    seen = []
    with Source.open(folder / name) as source:
        fill = find_fill(source, Progress(), seen=lambda *block: seen.append(block[1:4]))
        values, valid = source.read_stored(Window(0, 0, 70, 60), [1, 2, 3])
    (collar,) = fill.collars
    assert collar.count == 8 * 60 and (len(opened) > 1) == (cores > 1) and len(opened) <= 4
    assert all(one.dataset.closed for one in opened)
    assert [window.row_off for window, *_ in seen] == list(range(0, 60, ROWS))
    assert np.array_equal(np.concatenate([block for _, block, _ in seen], axis=1), values)
    assert np.array_equal(np.concatenate([block for *_, block in seen], axis=1), valid)


def test_a_tile_that_is_gone_is_named(folder, opened, monkeypatch):
    monkeypatch.setattr(undeclared, "cores", lambda: 2)
    with Source.open(folder / "tiles") as source:
        (folder / "tiles" / "4.tif").unlink()
        with pytest.raises(InputError, match=r"tiles can't be read .*4\.tif"):
            find_fill(source, Progress())
    assert all(one.dataset.closed for one in opened)


def test_wide_rasters_are_read_by_fewer_threads(folder, opened, monkeypatch):
    monkeypatch.setattr(undeclared, "cores", lambda: 16)
    monkeypatch.setattr(undeclared, "_MEGABYTES", 12 * 3 * 70 * ROWS / 1e6 / 3)
    with Source.open(folder / "whole.tif") as source:
        find_fill(source, Progress())
    assert not opened


@pytest.mark.parametrize("columns", [1, 13, 64])
def test_pieces_of_a_wide_raster_are_one_block(make_raster, monkeypatch, opened, columns):
    """A slanting collar, a black lake far from the border, and single values that are voids."""
    image = np.random.default_rng(0).integers(40, 250, (3, 60, 70)).astype(np.int16)
    rows, cols = np.indices((60, 70))
    image[:, rows + 2 * cols < 60] = 0
    image[:, (rows - 30) ** 2 + (cols - 40) ** 2 < 120] = 0
    image[1, 50:53, 60:66] = -9999
    path, found, pixels = make_raster("w.tif", image, bands=RGB), [], []
    for width in (1000, columns):
        monkeypatch.setattr(undeclared, "_COLUMNS", width)
        count = np.zeros((60, 70), int)

        def see(_, window, values, *__, count=count):
            part = window.toslices()
            count[part] += 1
            assert np.array_equal(values, image[:, *part])

        with Source.open(path) as source:
            found.append(find_fill(source, Progress(), seen=see))
        pixels.append(count)
    one, other = found
    assert (pixels[0] == 1).all() and (pixels[1] == 1).all()
    assert one.voids == other.voids and one.voids
    whole = Window(0, 0, 70, 60)
    (collar,), (same,) = one.collars, other.collars
    assert collar.count == same.count > 0
    assert np.array_equal(collar.mask.read(whole), same.mask.read(whole))
