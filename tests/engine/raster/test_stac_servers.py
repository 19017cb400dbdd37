"""STAC by its address: items, collections and searches of a server, to their last page."""

import itertools
import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.answer import run_command
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core import fetch
from landslide_mapper.landslide_plugin.core.access import PROTOCOLS
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.raster import Source, stac
from landslide_mapper.landslide_plugin.raster.stac import read_items
from landslide_mapper.landslide_plugin.raster.tiles import tiles_of

from .tiling import checkerboard, cut

SHAPE = (20, 30)


@pytest.fixture
def scene(server, make_raster):
    """A raster here and its four tiles on the server."""
    values = np.random.default_rng(1).integers(1, 200, (1, *SHAPE)).astype(np.uint8)
    whole = make_raster("whole.tif", values, nodata=0, bands=["red"])
    cut(whole, server[0] / "tiles", checkerboard(SHAPE, [11], [8]))
    return whole


def item(number, href="tiles/tile_{}.tif"):
    asset = {"href": href.format(number), "type": "image/tiff; application=geotiff"}
    properties = {"datetime": f"2018-09-0{number + 1}T00:00:00Z"}
    return {"type": "Feature", "id": str(number), "properties": properties, "assets": {"a": asset}}


def answer(server, name, numbers=(), following=None, **more):
    """Have the server answer with items, and tell of those that follow."""
    links = [{"rel": "next", **following}] if following else []
    told = {"type": "FeatureCollection", "features": [*map(item, numbers)], "links": links, **more}
    path = server[0] / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(told))
    return f"{server[1]}/{name}"


def same(name, whole):
    with Source.open(name) as many, Source.open(whole) as one:
        assert many.grid == one.grid
        return (many.read()[0] == one.read()[0]).all()


class TestRead:
    def test_items_at_an_address_are_one_image_their_files_beside_it(self, server, scene):
        address = answer(server, "items.json", range(4))
        assert same(address, scene)
        assert same(f"/vsicurl/{address}", scene)

    def test_one_item(self, server, scene):
        (server[0] / "item").write_text(json.dumps(item(2)))
        with Source.open(f"{server[1]}/item") as source:
            assert source.grid.shape == (9, 8) and source.bands == ["red"]

    def test_a_search_to_its_last_page(self, server, scene, tmp_path):
        end = {"href": "search?page=3"}
        address = answer(server, "search?bbox=1,2,3,4", [0], {"href": f"{server[1]}/search?page=2"})
        answer(server, "search?page=2", [1, 2], end)
        answer(server, "search?page=3", [3])
        assert same(address, scene)
        output = str(tmp_path / "image.vrt")
        result = run_command("mosaic", {"input": address, "output": output}, Progress())
        assert result["count"] == 4 and same(output, scene)

    def test_pages_that_want_to_be_posted(self, server, scene):
        post = {"href": "search", "method": "POST", "merge": True}
        address = answer(server, "search?limit=2", [0, 1], {**post, "body": {"limit": 1}})
        answer(server, 'search#{"limit": 1}', [2], {**post, "body": {"token": "b"}})
        answer(server, 'search#{"limit": 1, "token": "b"}', [3])
        assert same(address, scene)

    def test_a_collection_and_the_items_that_it_links_to(self, server, scene, tmp_path):
        for number in range(4):
            folder = server[0] / str(number)
            folder.mkdir()
            (folder / "item.json").write_text(json.dumps(item(number, "../tiles/tile_{}.tif")))
        links = [{"rel": "item", "href": f"./{number}/item.json"} for number in range(4)]
        told = {"type": "Collection", "links": [{"rel": "self", "href": "x"}, *links]}
        (server[0] / "collection.json").write_text(json.dumps(told))
        assert same(f"{server[1]}/collection.json", scene)
        for link in links:
            link["href"] = f"{server[1]}/{link['href']}"
        (tmp_path / "here.json").write_text(json.dumps({**told, "links": links}))
        assert same(tmp_path / "here.json", scene)

    def test_a_collection_of_an_api_by_its_items(self, server, scene):
        answer(server, "many/items", [0, 1], {"href": "items?page=2"})
        answer(server, "many/items?page=2", [2, 3])
        (server[0] / "tiles").rename(server[0] / "many" / "tiles")
        told = {"type": "Collection", "links": [{"rel": "items", "href": "many/items"}]}
        (server[0] / "collection").write_text(json.dumps(told))
        assert same(f"{server[1]}/collection", scene)

    def test_a_busy_server_is_asked_again(self, server, monkeypatch):
        address = answer(server, "items.json", [0])
        (server[0] / "busy").touch()
        monkeypatch.setattr(time, "sleep", lambda seconds: (server[0] / "busy").unlink())
        assert len(read_items(address)) == 1

    def test_a_raster_without_an_ending_stays_one(self, server, scene):
        (server[0] / "download").write_bytes(open(scene, "rb").read())
        assert same(f"{server[1]}/download", scene)
        assert tiles_of(f"{server[1]}/a.tif") is None


class TestRefused:
    @pytest.mark.parametrize("following", ["search?page=1", "search?page=2"])
    def test_pages_without_an_end(self, server, following):
        address = answer(server, "search?page=1", [0], {"href": "search?page=2"})
        answer(server, "search?page=2", [1], {"href": following})
        with pytest.raises(InputError, match=r"answers page after page without an end \(\d so far"):
            read_items(address)

    def test_more_pages_than_any_search_needs(self, server, monkeypatch):
        monkeypatch.setattr(stac, "_MOST_PAGES", 3)
        for page in range(6):
            answer(server, f"search?page={page}", [0], {"href": f"search?page={page + 1}"})
        with pytest.raises(InputError, match=r"without an end \(4 so far\): ask for less \(bbox"):
            read_items(f"{server[1]}/search?page=0")

    def test_a_page_that_fails(self, server):
        address = answer(server, "search", [0], {"href": "search?page=2"})
        with pytest.raises(InputError, match=r"page=2 can't be fetched \(HTTP Error 404"):
            read_items(address)
        (server[0] / "search?page=2").write_text('{"code": "error"}')
        with pytest.raises(InputError, match=r"page=2, the next page of items, holds none"):
            read_items(address)
        (server[0] / "search?page=2").write_text('{"type": ')
        with pytest.raises(InputError, match=r"page=2 can't be fetched \(Expecting value"):
            read_items(address)

    def test_no_items(self, server):
        for told in ('{"type": "Catalog"}', '{"type": "FeatureCollection", "features": []}', "{}"):
            (server[0] / "search").write_text(told)
            with pytest.raises(InputError, match="answers without STAC items: give the address"):
                Source.open(f"{server[1]}/search")

    @pytest.mark.parametrize("address", ["http://127.0.0.1:9/search", "http://[", "http://a b/c"])
    def test_no_server(self, address):
        with pytest.raises(InputError, match="can't be fetched"):
            read_items(address)

    def test_the_first_page_saved_as_a_file(self, server, tmp_path):
        answer(server, "page.json", [0], {"href": "https://a.org/search?page=2"}, numberMatched=9)
        with pytest.raises(InputError, match="holds 1 of the 9 items that its server tells of"):
            read_items(server[0] / "page.json")
        answer(server, "page.json", [0], {"href": "https://a.org/search?page=2"}, numberMatched=1)
        assert len(read_items(server[0] / "page.json")) == 1

    def test_what_the_operator_does_not_allow(self, server, monkeypatch, tmp_path):
        address = answer(server, "items.json", [0])
        links = [{"rel": "item", "href": address}]
        (tmp_path / "a.json").write_text(json.dumps({"type": "Collection", "links": links}))
        monkeypatch.setenv(PROTOCOLS, "https")
        for name in (address, str(tmp_path / "a.json")):
            with pytest.raises(InputError, match="uses http, which is not allowed here"):
                tiles_of(name)
        assert not (server[0] / "log.txt").exists()  # nobody was asked

    @pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/a"])
    def test_ways_to_elsewhere(self, server, target):
        (server[0] / "search").write_text(f"->{target}")
        with pytest.raises(InputError, match=r"no address of http or https|is not allowed"):
            read_items(f"{server[1]}/search")
        address = answer(server, "next", [0], {"href": target})
        with pytest.raises(InputError, match=r"/\w+ is no address of http or https"):
            read_items(address)

    def test_an_answer_that_is_too_long(self, server, monkeypatch):
        address = answer(server, "items.json", range(3))
        monkeypatch.setattr(fetch, "_LARGEST", 99)
        with pytest.raises(InputError, match=r"can't be fetched \(more than 99 bytes"):
            read_items(address)


words = st.sampled_from(
    ["next", "item", "items", "POST", "Feature", "FeatureCollection", "Collection", "a.tif",
     "http://[", "//", "../x", "file:///x", "http://a.org/b", "", "\0", "data", "image/tiff"]
)  # fmt: skip
keys = st.sampled_from(
    ["type", "links", "rel", "href", "method", "body", "merge", "features", "assets", "a", "roles",
     "properties", "datetime", "id", "bands", "eo:bands", "name", "numberMatched"]
)  # fmt: skip
answers = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=25,
)
several = st.lists(st.dictionaries(keys, answers, max_size=4), max_size=3) | answers
pages = st.fixed_dictionaries({"type": words, "links": several, "features": several})


@given(st.lists(answers | pages, min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_whatever_a_server_answers_is_items_or_a_sentence(told):
    turns = itertools.cycle(told)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stac, "fetch_json", lambda address, body=None: next(turns))
        patch.setattr(stac, "_MOST_PAGES", 5)
        try:
            items = read_items("http://a.org/search")
        except InputError:
            return
    assert all(one.href for item in items for one in item.assets.values())
