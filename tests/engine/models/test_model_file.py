"""Model card and model file: round trip, the STAC extension, and every kind of bad file."""

import json
import pickle
import socket
import struct
import zipfile
from pathlib import Path

import pystac
import pytest
import torch
from landslide_mapper.landslide_plugin.contract.architectures import INSTANCE, SEMANTIC, WEAK
from landslide_mapper.landslide_plugin.contract.errors import (
    InputError,
    ModelFileError,
    OutputError,
)
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import digest_of, load_card, load_model, save_model
from landslide_mapper.models.registry import INSTANCE_TASK, SEMANTIC_TASK, build
from pystac.extensions.mlm import MLMExtension
from safetensors import safe_open
from safetensors.torch import save_file

TINY = {"growth_rate": 4, "layers": [2, 2], "middle_layers": 2, "first_channels": 8}


def card(**changes):
    values = {
        "name": "kashmir-1",
        "architecture": "fc_densenet",
        "arguments": TINY,
        "task": "semantic-segmentation",
        "bands": ["elevation", "slope", "ndvi"],
        "mean": [1000.0, 20.0, 0.3],
        "std": [300.0, 10.0, 0.2],
        "resolution": 10.0,
        "tile_size": 64,
        "classes": ["background", "landslide"],
        "threshold": 0.42,
        "training": {"data": "Kashmir", "epochs": 3},
        "metrics": {"f1": 0.7, "split": "by blocks"},
        "licence": "CC-BY-4.0",
        "created": "2026-01-02T03:04:05Z",
    }
    return ModelCard(**{**values, **changes})


@pytest.fixture
def network():
    torch.manual_seed(1)
    network = build("fc_densenet", 3, 2, **TINY)
    network(torch.randn(4, 3, 32, 32))  # so that batch normalization has statistics
    return network.eval()


@pytest.fixture
def model(tmp_path, network):
    path = tmp_path / "model.safetensors"
    save_model(path, network, card())
    return path


def test_a_loaded_model_predicts_identically(model, network):
    loaded = load_model(model)
    image = torch.randn(2, 3, 40, 56)
    assert torch.equal(loaded.network(image), network(image))
    assert not loaded.network.training
    assert loaded.members == [loaded]
    assert loaded.card == load_card(model) == card()


def test_no_weights_are_drawn_to_be_replaced_by_those_of_the_file(model, monkeypatch):
    monkeypatch.setattr(torch.nn.init, "kaiming_normal_", None)  # imports PyTorch's compiler
    load_model(model)


def test_weights_in_half_precision_are_read_as_float32(tmp_path, network):
    path = tmp_path / "half.safetensors"
    save_model(path, network.half(), card())
    network = load_model(path).network
    assert {value.dtype for value in network.parameters()} == {torch.float32}


def test_the_header_holds_a_valid_stac_item_of_the_mlm_extension(model):
    with safe_open(str(model), "pt") as file:
        item = pystac.Item.from_dict(json.loads(file.metadata()["stac_item"]))
    extension = MLMExtension.ext(item)
    assert extension.mlm_name == "kashmir-1"
    assert extension.architecture == "fc_densenet"
    assert extension.tasks == ["semantic-segmentation"]
    assert extension.framework == "PyTorch"
    assert extension.total_parameters == sum(
        value.numel() for value in build("fc_densenet", 3, 2, **TINY).parameters()
    )
    (source,) = extension.input
    assert source.bands == ["elevation", "slope", "ndvi"]
    assert source.input.shape == [-1, 3, 64, 64]
    (output,) = extension.output
    assert [entry.name for entry in output.classes or []] == ["background", "landslide"]
    assert item.properties["license"] == "CC-BY-4.0"
    assert any("mlm:model" in (asset.roles or []) for asset in item.assets.values())


def test_a_card_without_time_or_spdx_licence_is_still_an_item():
    bare = card(created="", licence="ask the authors", resolution=None)
    item = bare.to_item()
    pystac.Item.from_dict(json.loads(json.dumps(item)))
    assert item["properties"]["license"] == "other"
    assert ModelCard.from_item(item) == bare


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"bands": ["a", "a", "b"]}, "not unique"),
        ({"mean": [1.0]}, "differ in number"),
        ({"std": [1.0, 0.0, 1.0]}, "not above 0"),
        ({"std": [1.0, float("nan"), 1.0]}, "not above 0"),
        ({"classes": ["landslide"]}, "two classes"),
        ({"task": "regression"}, "unknown"),
        ({"threshold": 1.5}, "threshold"),
    ],
)
def test_a_card_whose_parts_do_not_fit_is_refused(changes, reason):
    with pytest.raises(ValueError, match=reason):
        card(**changes)


def test_another_ending_is_refused(tmp_path, network):
    with pytest.raises(InputError, match=r"must end in \.safetensors"):
        save_model(tmp_path / "model.pt", network, card())


def test_a_missing_output_folder_is_one_sentence(tmp_path, network):
    with pytest.raises(OutputError, match="does not exist"):
        save_model(tmp_path / "none" / "model.safetensors", network, card())


class Bomb:
    """Writes a file when it is unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("bomb-went-off"),)


def test_a_renamed_pickle_is_refused_and_never_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, write in (("pickle", _pickled), ("torch", _torch_saved)):
        path = tmp_path / f"{name}.safetensors"
        write(path)
        for load in (load_card, load_model):
            with pytest.raises(ModelFileError, match=r"is not a model file.*never opened"):
                load(path)
    assert not Path("bomb-went-off").exists()


def _pickled(path):
    path.write_bytes(pickle.dumps(Bomb()))


def _torch_saved(path):
    torch.save({"weights": Bomb()}, path)
    assert zipfile.is_zipfile(path)


def test_missing_empty_and_other_files_are_refused(tmp_path, make_raster):
    with pytest.raises(ModelFileError, match="does not exist"):
        load_model(tmp_path / "none.safetensors")
    with pytest.raises(ModelFileError, match="does not exist"):
        load_model(tmp_path)
    for name, content in (("empty", b""), ("text", b"hello world, no model")):
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match="is not a model file"):
            load_card(path)
    with pytest.raises(ModelFileError, match="but a TIFF"):
        load_card(make_raster("raster.tif", [[0.0]]))


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(model, share):
    content = model.read_bytes()
    model.write_bytes(content[: max(12, int(share * len(content)))])
    for load in (load_card, load_model):
        with pytest.raises(ModelFileError, match="damaged or cut off"):
            load(model)


def test_a_header_of_absurd_length_is_refused(tmp_path):
    path = tmp_path / "long.safetensors"
    path.write_bytes(struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(ModelFileError, match="damaged or cut off"):
        load_card(path)


def test_weights_without_a_description_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(2)}, str(path))
    with pytest.raises(ModelFileError, match="no description"):
        load_card(path)


@pytest.mark.parametrize(
    "text, reason",
    [
        ("not json", "unusable"),
        ("[]", "wrong kind"),
        ("{}", "'properties' is missing"),
        (json.dumps({"properties": {"mlm:input": []}}), "missing"),
        ("[" * 100_000, "unusable"),
    ],
)
def test_an_unusable_description_is_refused(tmp_path, text, reason):
    path = tmp_path / "odd.safetensors"
    save_file({"a": torch.zeros(2)}, str(path), {"stac_item": text})
    with pytest.raises(ModelFileError, match=reason):
        load_card(path)


def test_descriptions_that_do_not_fit_the_weights_are_refused(tmp_path, network):
    cases = {
        "No architecture 'unet9000'": card(architecture="unet9000"),
        "can't be built": card(arguments={"colour": "red"}),
        "weights don't fit": card(arguments={**TINY, "growth_rate": 10**4}),
        "can't be built as described": card(arguments={**TINY, "middle_layers": 10**9}),
    }
    for reason, description in cases.items():
        path = tmp_path / "odd.safetensors"
        save_model(path, network, description)
        with pytest.raises(ModelFileError, match=reason):
            load_model(path)


@pytest.mark.parametrize(
    "arguments, reason",
    [
        ({"pretrained": True}, "does not know pretrained"),
        ({"__class__": "os"}, "does not know __class__"),
        ({"layers": [[2, 2]]}, "layers is no number"),
        ({"layers": {"a": 1}}, "layers is no number"),
        ({"growth_rate": float("inf")}, "growth_rate is no number"),
        ({"growth_rate": 10**400}, "growth_rate is no number"),
        ({"growth_rate": "many"}, "can't be built"),
        ({"growth_rate": -4}, "can't be built"),
    ],
)
def test_only_arguments_that_the_architecture_knows_are_taken(tmp_path, network, arguments, reason):
    path = tmp_path / "odd.safetensors"
    save_model(path, network, card(arguments={**TINY, **arguments}))
    with pytest.raises(ModelFileError, match=reason):
        load_model(path)


@pytest.mark.parametrize("architecture", [*SEMANTIC, *INSTANCE, *WEAK])
def test_a_file_that_asks_for_pretrained_weights_makes_no_connection(
    tmp_path, network, monkeypatch, architecture
):
    asked = []

    def refuse(*arguments, **more):
        asked.append(arguments)
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    task = INSTANCE_TASK if architecture in INSTANCE else SEMANTIC_TASK
    path = tmp_path / "odd.safetensors"
    for arguments in ({"pretrained": True}, {"pretrained": "imagenet"}):
        about = card(architecture=architecture, arguments=arguments, task=task)
        save_model(path, network, about)
        with pytest.raises(ModelFileError, match="does not know pretrained"):
            load_model(path)
    assert not asked


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path, network, number):
    network.first.weight.data[0, 0, 0, 0] = number
    path = tmp_path / "astray.safetensors"
    save_model(path, network, card())
    with pytest.raises(ModelFileError, match=r"no numbers \(first.weight\)"):
        load_model(path)


def test_weights_other_than_those_described_are_refused(tmp_path, model, network):
    with safe_open(str(model), "pt") as file:
        about = file.metadata()
    other = {name: value + 1 for name, value in network.state_dict().items()}
    path = tmp_path / "altered.safetensors"
    save_file(other, str(path), about)
    with pytest.raises(ModelFileError, match="damaged or was altered"):
        load_model(path)


def test_the_digest_is_of_names_types_shapes_and_numbers():
    tensor = torch.arange(6.0)
    digests = {
        digest_of(tensors)
        for tensors in (
            {"a": tensor},
            {"b": tensor},
            {"a": tensor.half()},
            {"a": tensor.reshape(2, 3)},
            {"a": tensor.flip(0)},
        )
    }
    assert len(digests) == 5
    two = {"a": tensor, "b": torch.tensor(3)}
    assert digest_of(two) == digest_of(dict(reversed(two.items())))


@pytest.mark.parametrize(
    "entry, value",
    [
        ("landslide:threshold", 10**400),
        ("landslide:threshold", [0.5]),
        ("landslide:resolution", -1.0),
        ("landslide:resolution", float("nan")),
        ("landslide:members", 10**9),
        ("landslide:members", float("inf")),
        ("landslide:scene", {"low": 1, "high": 2}),
        ("landslide:arguments", [1, 2]),
        ("landslide:training", "much"),
        ("mlm:name", "half \ud800"),
        ("mlm:tasks", []),
        ("mlm:tasks", 5),
        ("mlm:input", {}),
        ("mlm:input", [[]]),
        ("mlm:output", [{"classification:classes": [{"name": "x"}] * 300}]),
    ],
)
def test_an_entry_of_the_wrong_kind_or_size_is_refused(tmp_path, entry, value):
    item = card().to_item()
    item["properties"][entry] = value
    path = tmp_path / "odd.safetensors"
    save_file({"a": torch.zeros(2)}, str(path), {"stac_item": json.dumps(item)})
    with pytest.raises(ModelFileError, match="description is unusable"):
        load_card(path)


def test_a_description_of_absurd_length_is_refused(tmp_path):
    path = tmp_path / "odd.safetensors"
    item = {**card().to_item(), "more": "x" * 10_000_000}
    save_file({"a": torch.zeros(2)}, str(path), {"stac_item": json.dumps(item)})
    with pytest.raises(ModelFileError, match="far too long"):
        load_card(path)
