"""The real dialogs of all algorithms, opened and filled in a QGIS of its own that may crash."""

import os
import subprocess
import sys
from pathlib import Path

import processing
import pytest
from landslide_mapper.processing_algorithms import ALGORITHMS

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What the QGIS that opened all dialogs said; a crash, exit code -11, says which it was."""
    folder = tmp_path_factory.mktemp("dialogs")
    (folder / "landslide_mapper").symlink_to(HERE.parents[1])
    paths = os.pathsep.join([str(folder), str(Path(processing.__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, HERE / "open_dialogs.py", folder],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines() or ["nothing"]
    assert (done.returncode, lines[-1]) == (0, "all opened"), done.stderr[-2000:]
    return lines


def test_no_dialog_ends_qgis_whatever_layers_the_project_holds_and_the_inputs_get(said):
    """In projects with a raster, polygons, both, none; graphical models and batches as well."""
    closed = [line.split(",")[0] for line in said if line.endswith(": closed")]
    models = list((HERE.parents[1] / "processing_algorithms" / "workflows").glob("*.model3"))
    assert {kind.ID for kind in ALGORITHMS} <= set(closed)
    assert len(closed) == 4 * (len(ALGORITHMS) + len(models))


@pytest.mark.parametrize(
    "box",
    [
        "classes, project with a raster: FIELD",
        "samples, project with a raster: FIELD",
        "map, project with a raster: GEOLOGY_FIELD",
        "Factor stack from DEM, faults and geology, project with a raster: geology_field",
    ],
)
def test_where_polygons_are_chosen_their_fields_are_offered(said, box):
    assert f"{box} offers fid, rock" in said
