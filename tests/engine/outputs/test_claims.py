"""Outputs are no inputs, are not each other, and are nobody else's."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath

import geopandas as gpd
import numpy as np
import pytest
from landslide_mapper.landslide_plugin.answer import find_command
from landslide_mapper.landslide_plugin.contract.commands import COMMANDS, OUTPUTS
from landslide_mapper.landslide_plugin.contract.errors import InputError, OutputError
from landslide_mapper.landslide_plugin.core import owners
from landslide_mapper.landslide_plugin.outputs import claims, locks
from landslide_mapper.landslide_plugin.outputs.claims import claimed, files_of
from landslide_mapper.landslide_plugin.outputs.whole import whole_file
from shapely.geometry import box

from ..test_worker import run

GONE = f"999999999-1-{owners.me().split('-', 2)[2]}"


@pytest.fixture
def vrt(tmp_path, make_raster):
    """A VRT of a VRT of a raster."""
    make_raster("source.tif", np.zeros((4, 4)))
    for name, source in (("inner", "source.tif"), ("outer", "inner.vrt")):
        text = f'<x><SourceFilename relativeToVRT="1">{source}</SourceFilename></x>'
        (tmp_path / f"{name}.vrt").write_text(text)
    return tmp_path / "outer.vrt"


@pytest.mark.parametrize(
    "name",
    ["{}", "{}|layername=b", "GPKG:{}:b", 'NETCDF:"{}":b', "/vsizip/{}/inner.tif", "/vsigzip/{}"],
)
def test_the_file_that_a_name_begins_with_is_found(tmp_path, name):
    file = tmp_path / "a.gpkg"
    file.touch()
    assert list(files_of(name.format(file))) == [file]
    assert list(files_of([["none"], name.format(file), 5, None])) == [file]


@pytest.mark.parametrize("value", ["", "auto", "a\0b", "x" * 5000, 7, None, True, {"a": 1}])
def test_what_names_no_file_is_none(value):
    assert list(files_of(value)) == []


def test_the_sources_of_a_vrt_are_inputs_too(vrt):
    assert [path.name for path in files_of(str(vrt))] == ["outer.vrt", "inner.vrt", "source.tif"]


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_takes_an_input_as_its_output(tmp_path, command):
    """Over every output of every command, with an input of each way to name it."""
    file = tmp_path / "file.tif"
    file.write_bytes(b"precious")
    (tmp_path / "link.tif").symlink_to(file)
    os.link(file, tmp_path / "hard.tif")
    for key in OUTPUTS.get(command, ("output",)):
        for given in (str(file), f"{file}|layername=a", [str(file)], str(tmp_path / "hard.tif")):
            for output in (file, tmp_path / "link.tif", tmp_path / "." / "file.tif"):
                with pytest.raises(InputError, match="an input of this run"):
                    with claimed({key: str(output)}, [given]):
                        pass
    assert file.read_bytes() == b"precious"


@pytest.mark.parametrize("part", ["a.dbf", "a.SHX", "a.sbn", "a.shp.aux.xml", "a.shp.ovr"])
def test_a_part_of_an_input_is_no_output_either(tmp_path, part):
    (tmp_path / "a.shp").touch()
    with pytest.raises(InputError, match="or a part of one"):
        with claimed({"output": str(tmp_path / part)}, [str(tmp_path / "a.shp")]):
            pass


def test_what_a_vrt_reads_is_no_output(vrt):
    output = str(vrt.with_name("source.tif"))
    with pytest.raises(InputError, match="an input of this run"):
        with claimed({"output": output}, [str(vrt)]):
            pass


def test_a_file_within_an_input_folder_is_not_replaced(tmp_path):
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "samples.json").write_text("{}")
    given = [str(tmp_path / "samples")]
    with pytest.raises(InputError, match="a file within the input"):
        with claimed({"html": str(tmp_path / "samples" / "samples.json")}, given):
            pass
    with claimed({"html": str(tmp_path / "samples" / "new.html")}, given):
        pass


def test_what_a_run_reads_it_can_not_write_and_the_next_run_can(tmp_path):
    file = tmp_path / "dem.tif"
    file.write_bytes(b"precious")
    with claimed({"output": str(tmp_path / "a.tif")}, [str(file)]):
        with pytest.raises(OutputError, match="an input of this run"), whole_file(file):
            pass
    with whole_file(file) as partial:
        partial.write_bytes(b"new")
    assert file.read_bytes() == b"new"


@pytest.mark.parametrize("names", [("a.tif", "a.tif"), ("a.tif", "./A.TIF"), ("a.shp", "a.dbf")])
def test_two_outputs_are_two_files(tmp_path, names):
    if names[1] == "./A.TIF" and os.path.normcase("A") == "A":
        pytest.skip("this system tells large letters from small ones")
    positions = {key: str(tmp_path / name) for key, name in zip("ab", names, strict=True)}
    with pytest.raises(InputError, match="A and B would both write"):
        with claimed(positions, []):
            pass


class TestGeoPackages:
    @pytest.fixture
    def package(self, tmp_path):
        frame = gpd.GeoDataFrame({"a": [1]}, geometry=[box(0, 0, 1, 1)], crs=32633)
        path = tmp_path / "inventory.gpkg"
        frame.to_file(path, layer="inventory")
        return path, frame

    def test_one_of_an_earlier_run_is_replaced(self, package):
        with claimed({"output": str(package[0])}, []):
            pass

    def test_other_layers_are_not_lost(self, package):
        path, frame = package
        frame.to_file(path, layer="villages")
        with pytest.raises(OutputError, match=r"other layers \(villages\), which would be lost"):
            with claimed({"output": str(path)}, []):
                pass


class TestLocks:
    def test_the_second_run_is_told_at_once_who_writes(self, tmp_path):
        output = {"output": str(tmp_path / "a.tif")}
        with claimed(output, []):
            with pytest.raises(OutputError, match=rf"another run \(process {os.getpid()} on "):
                with claimed(output, []):
                    pass
        assert list(tmp_path.iterdir()) == []

    def test_two_processes_at_once(self, tmp_path, make_raster):
        dem = make_raster("dem.tif", np.zeros((9, 9)))
        output = str(tmp_path / "a.tif")
        with claimed({"output": output}, []):
            parameters = {"input": dem, "output": output}
            status, events, _ = run({"command": "terrainfactors", "parameters": parameters})
        assert status == 1 and "is being written by another run" in events[-1]["text"]

    def test_the_lock_of_a_run_that_has_ended_does_not_count(self, tmp_path):
        lock = tmp_path / f"{locks.PREFIX}a.tif"
        lock.write_text(json.dumps({"owner": GONE, "since": "yesterday"}))
        with claimed({"output": str(tmp_path / "a.tif")}, []):
            assert json.loads(lock.read_text())["owner"] == owners.me()
        assert list(tmp_path.iterdir()) == []

    def test_of_another_machine_nothing_is_known(self, tmp_path):
        note = {"owner": "999999999-1-another_machine", "since": "noon"}
        (tmp_path / f"{locks.PREFIX}a.tif").write_text(json.dumps(note))
        with pytest.raises(OutputError, match="on another_machine, since noon"):
            with claimed({"output": str(tmp_path / "a.tif")}, []):
                pass

    def test_an_error_gives_it_back(self, tmp_path):
        with pytest.raises(ValueError), claimed({"output": str(tmp_path / "a.tif")}, []):
            raise ValueError
        assert list(tmp_path.iterdir()) == []


def test_leftovers_of_killed_runs_are_cleared_away_and_those_of_others_stay(tmp_path):
    theirs = [tmp_path / f".partial-{owners.me()}-b", tmp_path / ".partial-1-2-elsewhere-c"]
    for folder in (tmp_path / f".partial-{GONE}-a", *theirs):
        folder.mkdir()
        (folder / "half").touch()
    with claimed({"output": str(tmp_path / "a.tif")}, []):
        assert sorted(tmp_path.glob(".partial*")) == sorted(theirs)


class TestOwners:
    def test_this_process_runs(self):
        assert not owners.has_ended(owners.me())

    def test_a_process_that_ended_has(self):
        script = "import owners; print(owners.me())"
        folder = Path(owners.__file__).parent
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True
        )
        assert owners.has_ended(done.stdout.strip())

    @pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
    def test_a_later_process_of_the_same_number_is_another(self):
        number, started, host = owners.me().split("-", 2)
        assert owners.has_ended(f"{number}-{int(started) - 1}-{host}")

    @pytest.mark.skipif(not Path("/proc/self/ns/pid").is_symlink(), reason="no containers here")
    def test_of_a_container_of_the_machines_name_nothing_is_known(self, monkeypatch):
        """Its processes have numbers of their own, as those of a QGIS from Flatpak."""
        monkeypatch.setattr(os, "readlink", lambda path: "pid:[4026539999]")
        assert not owners.has_ended(GONE)
        theirs = f"999999999-1-{owners._host()}"
        assert owners.has_ended(theirs)
        monkeypatch.undo()
        assert owners.has_ended(GONE) and not owners.has_ended(theirs)

    @pytest.mark.parametrize("text", ["", "5", "a-b-c", "1-2-elsewhere"])
    def test_of_others_nothing_is_known(self, text):
        assert not owners.has_ended(text)


def test_every_output_of_the_commands_is_known_as_one():
    """What the docstring of a command's result calls a file to write is in the worker's table."""
    assert set(OUTPUTS) <= set(COMMANDS)
    for command, keys in OUTPUTS.items():
        text = re.sub(r"\s+", " ", str(find_command(command).__doc__))
        for key in keys:
            assert f"{key}: " in text, (command, key)


@pytest.mark.parametrize(
    "path, address",
    [
        ("/maps/a b%.gpkg", "file:///maps/a%20b%25.gpkg"),
        ("C:\\maps\\ä.gpkg", "file:///C%3A/maps/%C3%A4.gpkg"),
        ("\\\\server\\share\\a.gpkg", "file:////server/share/a.gpkg"),
    ],
)
def test_a_geopackage_is_asked_by_an_address_that_sqlite_takes(path, address):
    """A share's server is no host to SQLite, which refuses any but localhost."""
    kind = PurePosixPath if path.startswith("/") else PureWindowsPath
    assert claims._address(kind(path)) == address
