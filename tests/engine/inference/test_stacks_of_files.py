"""Stacks of many files: who names them is asked once a run, and all of it maps the same ones."""

import json
import os
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.access import PROTOCOLS
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference import crew, unit_work
from landslide_mapper.landslide_plugin.inference.predict_command import predict
from landslide_mapper.landslide_plugin.inference.reproduce_command import reproduce
from landslide_mapper.landslide_plugin.raster import Source, undeclared
from landslide_mapper.landslide_plugin.raster.virtual import document_of, reopen

from ..raster.conftest import server  # noqa: F401 - a fixture
from ..raster.tiling import checkerboard, cut
from .noise import parameters_in

pytestmark = pytest.mark.usefixtures("one_thread")
WINDOWS = checkerboard((1100, 100), (300, 800), (40,))


@pytest.fixture(scope="module")
def given(one_thread, tmp_path_factory):
    """Parameters of a run, whose stack has other files too that it can be made of."""
    folder = tmp_path_factory.mktemp("given")
    given = parameters_in(folder)
    cut(given["stack"], folder / "tiles", WINDOWS)
    return given


def mapped(given, output, **parameters):
    predict(**{**given, **parameters}, probability=str(output), progress=Progress())
    with rasterio.open(output) as dataset:
        return dataset.read()


@pytest.fixture(scope="module")
def whole(given, tmp_path_factory):
    """The map of the stack as one file."""
    return mapped(given, tmp_path_factory.mktemp("whole") / "p.tif")


@pytest.fixture
def folder(given, tmp_path):
    """The stack's tiles in a folder of its own."""
    return Path(shutil.copytree(Path(given["stack"]).with_name("tiles"), tmp_path / "tiles"))


class Crew:
    """Workers in this process, which begin when something else has happened."""

    def __init__(self, happen):
        self._happen = happen

    def compute(self, order, journal, units, noticed, progress):
        with order.given(journal.folder):
            self._happen()
            for unit in units:
                unit_work.compute(str(journal.folder), unit.number)
                noticed(unit)


@pytest.fixture
def meanwhile(monkeypatch):
    """Return a function that has something happen between the plan and the work on it."""

    def hire(happen):
        hired = nullcontext(Crew(happen))
        monkeypatch.setattr(f"{crew.__package__}.predict_command.hired", lambda *_: hired)

    return hire


class TestServer:
    @pytest.fixture
    def search(self, server, folder):  # noqa: F811
        """The address of a search that names the tiles, and a function that changes its answer."""
        shutil.copytree(folder, server[0] / "tiles")
        answer = server[0] / "search?bbox=1"

        def name(numbers):
            asset = {"type": "image/tiff; application=geotiff"}
            items = [
                {"type": "Feature", "id": str(number),
                 "assets": {"a": {**asset, "href": f"tiles/tile_{number}.tif"}}}
                for number in numbers
            ]  # fmt: skip
            answer.write_text(json.dumps({"type": "FeatureCollection", "features": items}))

        name(range(len(WINDOWS)))
        return f"{server[1]}/search?bbox=1", name

    def asked(self, server):  # noqa: F811
        log = (server[0] / "log.txt").read_text()
        return log.count("GET /search?bbox=1 ")

    def test_is_asked_once_by_a_run_and_by_none_of_its_workers(
        self, given, whole, server, search, meanwhile, tmp_path  # noqa: F811
    ):  # fmt: skip
        address, name = search
        meanwhile(lambda: name([0]))
        assert np.array_equal(mapped(given, tmp_path / "p.tif", stack=address), whole)
        assert self.asked(server) == 1

    def test_is_asked_once_where_there_are_no_workers(
        self, given, whole, server, search, tmp_path  # noqa: F811
    ):  # fmt: skip
        assert np.array_equal(mapped(given, tmp_path / "p.tif", stack=search[0]), whole)
        assert self.asked(server) == 1

    def test_what_was_mapped_is_made_again_while_it_names_the_same(
        self, given, server, search, tmp_path  # noqa: F811
    ):  # fmt: skip
        address, name = search
        mapped(given, tmp_path / "p.tif", stack=address)
        again: dict[str, Any] = {
            "raster": str(tmp_path / "p.tif"),
            "output": str(tmp_path / "again.tif"),
        }
        assert reproduce(**again, progress=Progress())["differing"] == 0
        assert self.asked(server) == 2
        name([0, 1])
        with pytest.raises(InputError, match="is another one than the plan's"):
            reproduce(**again, progress=Progress())


def test_a_tile_that_comes_amid_a_run_is_none_of_its_stack(
    given, whole, folder, meanwhile, tmp_path
):
    def come():
        with rasterio.open(folder / "tile_0.tif") as tile:
            profile, names, values = tile.profile, tile.descriptions, tile.read()
        with rasterio.open(folder / "a.tif", "w", **profile) as on_top:
            on_top.write(values + 1)
            on_top.descriptions = names

    meanwhile(come)
    assert np.array_equal(mapped(given, tmp_path / "p.tif", stack=str(folder)), whole)


def test_a_tile_that_a_worker_does_not_see_is_told_of(given, folder, meanwhile, tmp_path):
    meanwhile(lambda: os.rename(folder / "tile_3.tif", tmp_path / "elsewhere.tif"))
    with pytest.raises(InputError, match=r"tile_3\.tif is not to be seen there: mount"):
        mapped(given, tmp_path / "p.tif", stack=str(folder))


def test_a_stack_is_searched_for_fill_by_the_run_and_by_none_of_its_workers(
    given, whole, meanwhile, monkeypatch, tmp_path
):
    with rasterio.open(given["stack"]) as declared:
        profile, names, values = declared.profile, declared.descriptions, declared.read()
    stack = tmp_path / "undeclared.tif"
    with rasterio.open(stack, "w", **(profile | {"nodata": None})) as undeclared_nodata:
        undeclared_nodata.write(values)
        undeclared_nodata.descriptions = names

    def searches(*arguments, **options):
        raise AssertionError("it was searched again")

    meanwhile(lambda: monkeypatch.setattr(undeclared, "find_fill", searches))
    assert np.array_equal(mapped(given, tmp_path / "p.tif", stack=str(stack)), whole)


def test_a_stack_that_is_opened_again_may_read_what_it_might_at_first(
    folder, monkeypatch, tmp_path
):
    with Source.open(folder) as source:
        document = document_of(source.dataset)
    with reopen(document) as dataset:
        assert document_of(dataset) == document
    monkeypatch.setenv(PROTOCOLS, "")
    with pytest.raises(InputError, match="uses vsicurl, which is not allowed here"):
        reopen(document.replace(str(folder), "/vsicurl/http://127.0.0.1"))
    with pytest.raises(InputError, match="What tells of a stack's files is damaged"):
        reopen(document[:-20])
