"""ONNX files of others: what describes them, and what is refused."""

import json
from typing import Any

import onnx
import pytest
import torch
from landslide_mapper.landslide_plugin.contract.errors import InputError, ModelFileError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.inference.runtimes import Wish, open_graph
from onnx import TensorProto, helper

DEEPNESS = {"model_type": "Segmentor", "class_names": {"0": "background", "1": "slide"}}
MLM: dict[str, Any] = {
    "mlm:name": "theirs",
    "mlm:tasks": ["semantic-segmentation"],
    "mlm:input": [
        {
            "bands": [{"name": "B02"}, "B03", "B04"],
            "input": {"shape": [-1, 3, 32, 32]},
            "value_scaling": [{"type": "min-max", "minimum": 0, "maximum": 10000}],
        }
    ],
    "mlm:output": [
        {
            "classification:classes": [{"name": "background"}, {"name": "landslide"}],
            "post_processing_function": {"format": "python", "expression": "torch.softmax"},
        }
    ],
}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def graph(tmp_path):
    """Return a function that writes a 1 x 1 convolution with all weights 0.1."""

    def make(
        keys=None,
        *,
        bands=3,
        classes=2,
        last="Softmax",
        shape=("n", None, 32, 32),
        kind=TensorProto.FLOAT,
        inputs=1,
    ):
        shape = [bands if side is None else side for side in shape]
        weights = [0.1 * (number // bands + 1) for number in range(bands * classes)]
        nodes = [helper.make_node("Conv", ["image", "weights"], ["logits"])]
        attributes: dict[str, Any] = {"axis": 1} if last == "Softmax" else {}
        nodes.append(helper.make_node(last, ["logits"], ["output"], **attributes))
        images = [
            helper.make_tensor_value_info("image" if i == 0 else f"other{i}", kind, shape)
            for i in range(inputs)
        ]
        result = helper.make_tensor_value_info("output", kind, [shape[0], classes, *shape[2:]])
        values = helper.make_tensor("weights", kind, [classes, bands, 1, 1], weights)
        model = helper.make_model(
            helper.make_graph(nodes, "g", images, [result], [values]),
            opset_imports=[helper.make_opsetid("", 17)],
            ir_version=8,
        )
        helper.set_model_props(
            model, {key: json.dumps(value) for key, value in (keys or {}).items()}
        )
        path = tmp_path / "theirs.onnx"
        onnx.save(model, path)
        return path

    return make


def opened(path, said=None, **options):
    progress = Progress((said if said is not None else []).append)
    wish = Wish(device=torch.device("cpu"), name="onnx", progress=progress, **options)
    member = open_graph(path, wish)
    return member.runtime, member.card


def test_a_model_made_for_deepness(graph):
    keys = {
        **DEEPNESS,
        "resolution": 80,
        "seg_thresh": 0.3,
        "standardization_mean": [0.5, 0.4, 0.3],
        "standardization_std": [0.2, 0.2, 0.1],
    }
    runtime, card = opened(graph(keys))
    assert card.bands == ["red", "green", "blue"]
    assert card.mean == pytest.approx([127.5, 102, 76.5])
    assert card.std == pytest.approx([51, 51, 25.5])
    assert (card.resolution, card.threshold, card.tile_size) == (0.8, 0.3, 32)
    assert card.classes == ["background", "slide"]
    assert runtime.fixed_size == (32, 32)
    result = runtime.run(torch.ones(1, 3, 32, 32))
    torch.testing.assert_close(result[0, :, 0, 0], torch.tensor([0.3, 0.6]).softmax(0))


def test_its_bands_are_the_stacks_first_ones(graph):
    said = []
    _, card = opened(graph(DEEPNESS), said, bands=["nir", "slope", "red", "blue"])
    assert card.bands == ["nir", "slope", "red"]
    assert any("it is given nir, slope, red" in event["text"] for event in said)
    assert opened(graph(DEEPNESS, bands=5))[1].bands[0] == "band_1"


def test_without_standardization_deepness_divides_by_255(graph):
    _, card = opened(graph(DEEPNESS))
    assert card.mean == [0] * 3 and card.std == [255] * 3


def test_one_class_gets_a_background(graph):
    keys = {**DEEPNESS, "class_names": {"0": "slide"}}
    runtime, card = opened(graph(keys, classes=1, last="Sigmoid"))
    assert card.classes == ["background", "slide"]
    result = runtime.run(torch.ones(2, 3, 32, 32))
    inside = torch.tensor(0.3).sigmoid()
    torch.testing.assert_close(result[1, :, 5, 5], torch.stack([1 - inside, inside]))


def test_a_stac_item_in_the_file_or_beside_it(graph, tmp_path):
    path = graph({"stac_item": {"properties": {**MLM, "gsd": 10}}}, last="Identity")
    runtime, card = opened(path)
    assert card.name == "theirs" and card.bands == ["B02", "B03", "B04"]
    assert card.mean == [0] * 3 and card.std == [10000] * 3 and card.resolution == 10
    result = runtime.run(torch.ones(1, 3, 32, 32))
    torch.testing.assert_close(result[0, :, 0, 0], torch.tensor([0.3, 0.6]).softmax(0))
    path = graph(last="Identity")
    (tmp_path / "theirs.json").write_text(json.dumps({"properties": MLM}))
    assert opened(path)[1].name == "theirs"


def test_classes_are_those_of_their_numbers(graph):
    classes = [{"name": "slide", "value": 1}, {"name": "none", "value": 0}]
    output = [{**MLM["mlm:output"][0], "classification:classes": classes}]
    _, card = opened(graph(item(**{"mlm:output": output}), last="Identity"))
    assert card.classes == ["none", "slide"]


def test_a_graph_of_any_size_pads(graph):
    runtime, _ = opened(graph(DEEPNESS, shape=("n", None, "h", "w")), size=40)
    assert runtime.fixed_size is None
    assert runtime.run(torch.ones(1, 3, 40, 50)).shape == (1, 2, 40, 50)


def test_a_graph_of_one_image_at_a_time(graph):
    for name in ("onnx", "openvino"):
        wish = Wish(device=torch.device("cpu"), name=name)
        runtime = open_graph(graph(DEEPNESS, shape=(1, None, 32, 32)), wish).runtime
        assert runtime.run(torch.ones(3, 3, 32, 32)).shape == (3, 2, 32, 32)


def item(**changes):
    return {"stac_item": {"properties": {**MLM, **changes}}}


def scaled(kind):
    return item(**{"mlm:input": [{**MLM["mlm:input"][0], "value_scaling": [{"type": kind}]}]})


@pytest.mark.parametrize(
    ("keys", "options", "named"),
    [
        ({}, {}, "neither a STAC item nor the keys of Deepness"),
        ({"model_type": "Detector"}, {}, "it is a Detector"),
        (item(**{"mlm:tasks": ["object-detection"]}), {}, "its task is object-detection"),
        (item(**{"mlm:output": []}), {"last": "Identity"}, "missing or unusable"),
        (scaled("clip"), {}, "scaled by 'clip'"),
        (item(), {"bands": 4}, "describes 3 bands but takes 4"),
        ({**DEEPNESS, "standardization_mean": [1, 2]}, {}, "standardizes 2 bands and takes 3"),
        ({**DEEPNESS, "class_names": [{"0": "a"}, {"0": "b"}]}, {}, "2 outputs"),
        ({**DEEPNESS, "class_names": {"0": "Landslide", "1": "other"}}, {}, "first class is Land"),
        ({**DEEPNESS, "class_names": {"0": "a", "1": "background"}}, {}, "first class is a, wh"),
        ({**DEEPNESS, "class_names": "oops"}, {}, "unusable"),
        (DEEPNESS, {"classes": 3}, r"shape \(2, 3, 32, 32\)"),
        (DEEPNESS, {"last": "Identity"}, "no probabilities"),
        (DEEPNESS, {"shape": ("n", None, 32, 48)}, "48 x 32 pixels"),
        (DEEPNESS, {"shape": ("n", "c", 32, 32)}, "does not map one float image"),
        (DEEPNESS, {"inputs": 2}, "does not map one float image"),
        (DEEPNESS, {"kind": TensorProto.DOUBLE}, "Could not find an implementation"),
    ],
)
def test_unfit_files_are_one_sentence(graph, keys, options, named):
    path = graph(keys, **options)
    with pytest.raises(ModelFileError, match=named) as caught:
        opened(path)
    assert str(caught.value).count("\n") == 0 and "theirs.onnx" in str(caught.value)


def test_what_is_no_onnx_file(tmp_path, graph):
    path = tmp_path / "bad.onnx"
    for content in (b"", b"PK\x03\x04 zip", graph(DEEPNESS).read_bytes()[:100]):
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match=r"bad\.onnx"):
            opened(path)
    with pytest.raises(InputError, match="is an ONNX model: choose the runtime"):
        open_graph(path, Wish(device=torch.device("cpu"), name="torch"))
