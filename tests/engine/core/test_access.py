"""What may be read: nothing that never ends and, on a server, what its operator allows."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.access import PROTOCOLS, require_allowed
from landslide_mapper.landslide_plugin.raster import Source
from landslide_mapper.landslide_plugin.vector.layers import read_vector

WORKER = Path(__file__).resolve().parents[3] / "landslide_plugin" / "worker.py"
PATIENCE = 120


@pytest.fixture
def dem(make_raster):
    return make_raster("dem.tif", np.random.default_rng(0).normal(size=(20, 20)))


def run(command, parameters, **environment):
    """Run a request in a process of its own; return its last event."""
    done = subprocess.run(
        [sys.executable, str(WORKER)],
        input=json.dumps({"command": command, "parameters": parameters}) + "\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, **environment},
    )
    return json.loads(done.stdout.splitlines()[-1])


class TestWhatNeverEnds:
    @pytest.fixture(params=["pipe.tif", "pipe.gpkg", "pipe.vrt"])
    def pipe(self, request, tmp_path):
        os.mkfifo(tmp_path / request.param)
        return str(tmp_path / request.param)

    def test_a_pipe_is_refused_unopened(self, pipe, tmp_path):
        for read in (Source.open, lambda path: read_vector(path, "rivers")):
            with pytest.raises(InputError, match="is a device or a pipe"):
                read(pipe)
        told = run("streams", {"input": pipe, "output": str(tmp_path / "a.gpkg")})
        assert "is a device or a pipe" in told["text"] and "details" not in told

    @pytest.mark.parametrize(
        "name", ["/dev/zero", "/vsigzip//dev/zero", "/vsisubfile/0_99,/dev/zero", "/dev/null"]
    )
    def test_a_device_is_refused(self, name):
        with pytest.raises(InputError, match="is a device or a pipe"):
            Source.open(name)

    def test_a_virtual_raster_of_a_pipe_is_refused(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        virtual = tmp_path / "a.vrt"
        virtual.write_text(
            '<VRTDataset rasterXSize="9" rasterYSize="9"><SRS>EPSG:32632</SRS><GeoTransform>0,1,0,'
            '0,0,-1</GeoTransform><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
            '<SourceFilename relativeToVRT="1">pipe</SourceFilename></SimpleSource>'
            "</VRTRasterBand></VRTDataset>"
        )
        told = run("streams", {"input": str(virtual), "output": str(tmp_path / "a.gpkg")})
        assert "is a device or a pipe" in told["text"]

    def test_the_standard_input_is_refused(self):
        for name in ("/vsistdin/", "/vsigzip//vsistdin/a.tif"):
            with pytest.raises(InputError, match="would wait for ever"):
                Source.open(name)

    @pytest.mark.parametrize("key", ["input", "reference"])
    def test_a_silent_server_is_given_up(self, dem, tmp_path, key):
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen(50)
            port = server.getsockname()[1]
            taken = []

            def take():
                while True:
                    try:
                        taken.append(server.accept()[0])
                    except OSError:
                        return

            threading.Thread(target=take, daemon=True).start()
            started = time.monotonic()
            address = f"/vsicurl/http://127.0.0.1:{port}/a.gpkg"
            given = {"input": dem, "reference": dem, key: address, "field": "kind"}
            told = run("classes", {**given, "output": str(tmp_path / "a.tif")})
            took = time.monotonic() - started
        assert taken
        assert "can't be fetched" in told["text"] and "details" not in told
        assert took < PATIENCE / 2  # for ever, else


class TestProtocols:
    """`LANDSLIDE_PROTOCOLS`: what may stand before a path."""

    @pytest.mark.parametrize(
        "name",
        [
            "/vsicurl/http://example.org/a.tif",
            "/vsis3/bucket/a.tif",
            "/vsizip//vsicurl/http://example.org/a.zip/a.tif",
            "http://example.org/a.tif",
            "zip+https://example.org/a.zip!a.tif",
            "WMS:http://example.org",
            "PG:host=example.org",
            "<GDAL_WMS/>",
            ' {"type": "FeatureCollection"}',
        ],
    )
    def test_what_is_not_listed_is_refused(self, monkeypatch, name):
        monkeypatch.delenv("LANDSLIDE_PROTOCOLS", raising=False)
        require_allowed(name)
        for allowed in ("", "vsitar, gpkg"):
            monkeypatch.setenv("LANDSLIDE_PROTOCOLS", allowed)
            with pytest.raises(InputError, match="not allowed here"):
                require_allowed(name)

    def test_local_files_and_what_is_listed_are_read(self, monkeypatch, dem):
        monkeypatch.setenv("LANDSLIDE_PROTOCOLS", "")
        Source.open(dem).close()
        monkeypatch.setenv("LANDSLIDE_PROTOCOLS", "VSICURL,http,gpkg")
        require_allowed("/vsicurl/http://example.org/a.tif")
        require_allowed("GPKG:none.gpkg:a")
        require_allowed(r"C:\data\a.tif")

    @pytest.mark.parametrize(
        "source",
        [
            "/vsicurl/http://example.org/a.tif",
            "&#47;vsicurl/http://example.org/a.tif",
            "<![CDATA[/vsis3/a/b.tif]]>",
            "inner.vrt",
        ],
    )
    def test_what_a_virtual_raster_points_at_counts_too(self, monkeypatch, tmp_path, source):
        text = (
            '<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand dataType="Byte" band="1">'
            '<SimpleSource><SourceFilename relativeToVRT="1">{}</SourceFilename></SimpleSource>'
            "</VRTRasterBand></VRTDataset>"
        )
        (tmp_path / "inner.vrt").write_text(text.format("/vsicurl/http://example.org/a.tif"))
        virtual = tmp_path / "a.tif"  # GDAL looks at what a file holds, not at its ending
        virtual.write_text(text.format(source))
        monkeypatch.setenv("LANDSLIDE_PROTOCOLS", "vsizip")
        with pytest.raises(InputError, match="not allowed here"):
            require_allowed(str(virtual))

    def test_one_that_can_not_be_checked_is_refused(self, monkeypatch, tmp_path):
        (tmp_path / "a.vrt").write_text("<VRTDataset><a></VRTDataset>")
        monkeypatch.setenv("LANDSLIDE_PROTOCOLS", "vsizip")
        with pytest.raises(InputError, match="can't be checked"):
            require_allowed(str(tmp_path / "a.vrt"))

    def test_a_sidecar_points_at_nothing_else(self, monkeypatch, dem):
        Path(f"{dem}.aux.xml").write_text(
            '<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">/vsicurl/http://'
            "example.org/a.ovr</MDI></Metadata></PAMDataset>"
        )
        monkeypatch.setenv("LANDSLIDE_PROTOCOLS", "")
        with pytest.raises(InputError, match="vsicurl, which is not allowed here"):
            require_allowed(dem)


class TestDrivers:
    """`LANDSLIDE_DRIVERS`: the formats that GDAL may open."""

    def test_others_are_not_opened(self, dem, tmp_path):
        virtual = tmp_path / "a.vrt"
        virtual.write_text(
            '<VRTDataset rasterXSize="20" rasterYSize="20"><SRS>EPSG:32632</SRS><GeoTransform>'
            '500000,10,0,5000000,0,-10</GeoTransform><VRTRasterBand dataType="Float64" band="1">'
            '<SimpleSource><SourceFilename relativeToVRT="1">dem.tif</SourceFilename>'
            "</SimpleSource></VRTRasterBand></VRTDataset>"
        )
        given = {"factors": ["slope"], "output": str(tmp_path / "out.tif")}
        for allowed, path, right in (
            ("GTiff,GPKG", dem, True),
            ("GTiff,GPKG", str(virtual), False),
            ("GTiff, VRT", str(virtual), True),
        ):
            told = run("terrainfactors", {"input": path, **given}, LANDSLIDE_DRIVERS=allowed)
            assert (told["type"] == "result") is right, told
            assert right or told["text"].endswith("VRT; allowed here are GTiff, GPKG.")

    def test_vector_formats_too(self, tmp_path):
        path = tmp_path / "a.geojson"
        path.write_text('{"type": "FeatureCollection", "features": []}')
        given = {"input": str(path), "reference": str(path), "output": str(tmp_path / "a.tif")}
        told = run("distance", given, LANDSLIDE_DRIVERS="GTiff,GPKG")
        assert "allowed here are GTiff, GPKG" in told["text"]

    def test_a_format_that_there_is_not_is_told_of(self, dem):
        given = {"input": dem, "output": f"{dem}.gpkg"}
        told = run("streams", given, LANDSLIDE_DRIVERS="GTiff,GeoPackage")
        assert "LANDSLIDE_DRIVERS names GeoPackage" in told["text"]


@pytest.mark.parametrize("name", ["C:\\maps\\a.tif", "c:/maps/a.tif", "\\\\server\\share\\a.tif"])
def test_a_drive_or_a_share_of_windows_is_no_protocol(monkeypatch, name):
    monkeypatch.setenv(PROTOCOLS, "")
    require_allowed(name)
    with pytest.raises(InputError, match="uses gpkg"):
        require_allowed(f"GPKG:{name}:layer")
