"""The model `stack-demo`: all factors, trained on a generated area, named synthetic everywhere."""

from dataclasses import replace
from pathlib import Path

from landslide_mapper.landslide_plugin.chain.derive import Derivation, derive
from landslide_mapper.landslide_plugin.chain.plan import Given, Plan
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.demo.demoarea_command import demoarea
from landslide_mapper.landslide_plugin.factors.stack_command import stack
from landslide_mapper.landslide_plugin.samples.samples_command import samples
from landslide_mapper.landslide_plugin.training.train_command import train
from landslide_mapper.models.model_file import load_model, save_model

NAME = "stack-demo"
SEED = 1
"""Of the area trained on; the demo's own area has the seed 0 and is not seen."""
EPOCHS = 12
PLAN = Plan(
    terrain=[
        *("elevation", "slope", "northness", "eastness"),
        *("plan_curvature", "profile_curvature"),
    ],
    indices=["ndvi", "mndwi"],
    terrain_in_model=True,
    rivers=True,
    rivers_in_model=True,
    faults=True,
    geology=True,
)
LIMITS = "Trained on a generated area: it shows the chain and knows nothing of real landslides."


def train_demo(work: Path, quick: bool, told: Progress) -> Path:
    """Train and write the model; what stands in the folder already is used.

    Args:
        work: folder of area, samples and results.
        quick: one epoch on a small area, to see that the recipe learns.
        told: where messages go.
    """
    if not (work / "samples" / "manifest.json").exists():
        _make(work, 256 if quick else 1024)
    trained = str(work / "trained.safetensors")
    train(
        samples=str(work / "samples"),
        model=trained,
        html=str(work / "training.html"),
        architecture="fc_densenet",
        backbone="light",
        epochs=1 if quick else EPOCHS,
        progress=told,
    )
    loaded = load_model(trained)
    card = loaded.card
    facts = {**card.training, "synthetic": True, "limits": [LIMITS]}
    card = replace(card, name=NAME, training=facts, licence="GPL-2.0-or-later")
    path = work / f"{NAME}.safetensors"
    save_model(path, loaded.network, card, half=True)
    return path


def _make(work: Path, size: int) -> None:
    """Generate the area, derive its factors, cut the samples."""
    quiet = Progress()
    area = demoarea(folder=str(work / "area"), seed=SEED, size=size, progress=quiet)
    given = Given(area["dem"], area["rivers"], area["faults"], area["geology"])
    how = Derivation(geology_field="lithology")
    derived = derive(area["image"], given, PLAN, how, work, quiet)
    stack(layers=derived.layers, output=str(work / "stack.tif"), progress=quiet)
    samples(
        stack=str(work / "stack.tif"),
        landslides=area["landslides"],
        output=str(work / "samples"),
        progress=quiet,
    )
