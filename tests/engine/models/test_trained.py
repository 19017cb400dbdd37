"""Each network of pixels by the command `train`: three epochs on real tiles, saved and loaded."""

import pytest
import torch
from landslide_mapper.landslide_plugin.contract.architectures import SEMANTIC
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.samples.importsamples_command import importsamples
from landslide_mapper.landslide_plugin.training import making
from landslide_mapper.landslide_plugin.training.train_command import train
from landslide_mapper.models.model_file import load_model, save_model

SMALL = {
    **{name: "resnet18" for name in SEMANTIC if name.startswith("smp_")},
    "smp_segformer": "mit_b0",
    "smp_pspnet": "mobilenet_v2",
    "smp_deeplabv3plus": "xception",
}
"""Quick backbones; the others have "light"."""


@pytest.fixture(scope="module")
def samples(data_dir, tmp_path_factory):
    """Eight landslide tiles of Bijie (Ji et al. 2020)."""
    folder = tmp_path_factory.mktemp("bijie")
    for number in range(8):
        for kind in ("images", "masks"):
            (source,) = (data_dir / "bijie" / kind).glob(f"ls_{number:04d}.*")
            (folder / kind).mkdir(exist_ok=True)
            (folder / kind / source.name).symlink_to(source)
    importsamples(
        images=str(folder / "images"),
        masks=str(folder / "masks"),
        output=str(folder / "samples"),
        validation=0.25,
        progress=Progress(),
    )
    return str(folder / "samples")


@pytest.mark.slow
@pytest.mark.parametrize("architecture", SEMANTIC)
def test_three_epochs_give_a_file_that_predicts_as_the_trained_network(
    architecture, samples, tmp_path, monkeypatch
):
    trained = []

    def keep(path, network, card, half):
        trained.append(network)
        save_model(path, network, card, half=half)

    monkeypatch.setattr(making, "save_model", keep)
    result = train(
        samples=samples,
        model=str(tmp_path / "m.safetensors"),
        architecture=architecture,
        backbone=SMALL.get(architecture, "light"),
        epochs=3,
        batch_size=4,
        tile_size=32,
        device="cpu",
        progress=Progress(),
    )
    assert result["epochs"] == 3
    loaded = load_model(tmp_path / "m.safetensors")
    card = loaded.card
    assert card.architecture == architecture and card.bands == ["red", "green", "blue"]
    image = torch.randn(1, 3, 48, 40)
    # Training lays weights out by channels last; sums in another order would differ by 1e-5.
    ours = trained[0].eval().to(memory_format=torch.contiguous_format)
    with torch.inference_mode():
        expected, values = ours(image), loaded.network(image)
    torch.testing.assert_close(values, expected, rtol=0, atol=1e-6)
