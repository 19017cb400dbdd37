"""`make demo`: a generated area, trained in its west, mapped and measured in its east.

Everything that a user would run is run by qgis_process. The area is synthetic; the figures say
how the chain works, not how well it would do on a real scene.
"""

import sys
import time
from pathlib import Path

from areas import split_area
from headless import ROOT, Headless

sys.path.insert(0, str(ROOT))

from landslide_plugin.worker import register_package

register_package()

from landslide_mapper.landslide_plugin.demo.picture import overview  # noqa: E402

EPOCHS = 12
SEED = 0


def main(folder: Path) -> int:
    """Run the chain in `folder`; return 0 when F1 on the unseen part is above 0.70."""
    started = time.perf_counter()
    if (folder / "area").exists():
        sys.exit(f"{folder} holds a demo already: remove it, or run `make demo` which does.")
    folder.mkdir(parents=True, exist_ok=True)
    qgis = Headless()
    area = qgis.run("landslide:demoarea", FOLDER=folder / "area", SEED=SEED)
    west, east = split_area(area["IMAGE"], 0.5, folder)
    stack = derive(qgis, area, folder)
    samples = qgis.output(
        "landslide:samples",
        STACK=stack,
        LANDSLIDES=area["LANDSLIDES"],
        AREA=west,
        OUTPUT=folder / "samples",
    )
    trained = qgis.run(
        "landslide:train",
        SAMPLES=samples,
        ARCHITECTURE="fc_densenet",
        BACKBONE="light",
        EPOCHS=EPOCHS,
        MODEL=folder / "model.safetensors",
        HTML=folder / "training.html",
    )
    mapped = qgis.run(
        "landslide:map",
        IMAGE=area["IMAGE"],
        DEM=area["DEM"],
        RIVERS=area["RIVERS"],
        FAULTS=area["FAULTS"],
        GEOLOGY=area["GEOLOGY"],
        GEOLOGY_FIELD="lithology",
        MODEL=trained["MODEL"],
        AREA=east,
        INVENTORY=folder / "inventory.gpkg",
        PROBABILITY=folder / "probability.tif",
    )
    measured = qgis.run(
        "landslide:evaluate",
        PREDICTED=mapped["PROBABILITY"],
        REFERENCE=area["LANDSLIDES"],
        AREA=east,
        IMAGE=area["IMAGE"],
        HTML=folder / "report.html",
        JSON=folder / "report.json",
    )
    overview(
        folder / "overview.png",
        image=area["IMAGE"],
        dem=area["DEM"],
        probability=mapped["PROBABILITY"],
        inventory=mapped["INVENTORY"],
        landslides=area["LANDSLIDES"],
        rivers=area["RIVERS"],
        area=east,
        title="Synthetic demo area: trained in the west, mapped in the east",
    )
    print(f"\nDone in {time.perf_counter() - started:.0f} s.")
    for name in ("inventory.gpkg", "probability.tif", "report.html", "overview.png"):
        print(f"  {folder / name}")
    print(
        f"F1 {measured['F1']:.3f}, precision {measured['PRECISION']:.3f}, recall "
        f"{measured['RECALL']:.3f} on the unseen eastern half (synthetic data, seed {SEED})"
    )
    return 0 if measured["F1"] > 0.70 else 1


def derive(qgis: Headless, area: dict[str, str], folder: Path) -> str:
    """Derive the influencing factors and stack them with the image; return the stack's path."""
    terrain = qgis.output(
        "landslide:terrainfactors",
        INPUT=area["DEM"],
        FACTORS=[
            "elevation",
            "slope",
            "northness",
            "eastness",
            "plan_curvature",
            "profile_curvature",
        ],
        OUTPUT=folder / "terrain.tif",
    )
    indices = qgis.output(
        "landslide:spectralindices",
        INPUT=area["IMAGE"],
        INDICES=["ndvi", "mndwi"],
        OUTPUT=folder / "indices.tif",
    )
    distances = [
        qgis.output(
            "landslide:distance",
            INPUT=area[key],
            REFERENCE=area["IMAGE"],
            NAME=name,
            OUTPUT=folder / f"{name}.tif",
        )
        for key, name in (("RIVERS", "river_distance"), ("FAULTS", "fault_distance"))
    ]
    geology = qgis.output(
        "landslide:classes",
        INPUT=area["GEOLOGY"],
        FIELD="lithology",
        REFERENCE=area["IMAGE"],
        NAME="lithology",
        OUTPUT=folder / "lithology.tif",
    )
    layers = [area["IMAGE"], terrain, indices, *distances, geology]
    return str(qgis.output("landslide:stack", LAYERS=layers, OUTPUT=folder / "stack.tif"))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
