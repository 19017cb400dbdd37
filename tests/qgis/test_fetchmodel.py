"""A model that does not ship is downloaded by QGIS, checked, and lies outside the plugin."""

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from landslide_mapper.models.known_models import KnownModel
from landslide_mapper.processing_algorithms import fetchmodel
from landslide_mapper.processing_algorithms.fetchmodel import FetchModel
from qgis.core import QgsProcessingContext, QgsProcessingException

CONTENT = b"weights" * 1000
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture
def server(tmp_path):
    """A server with the model, and a file that is not the model."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "model").write_bytes(CONTENT)
    (folder / "other").write_bytes(b"<html>Not found</html>")
    serving = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{serving.server_port}"
    serving.shutdown()
    serving.server_close()


@pytest.fixture
def run(provider, feedback, monkeypatch, tmp_path, server):
    """Run the algorithm where one model is known, at an address of the server's."""
    monkeypatch.setenv("LANDSLIDE_HOME", str(tmp_path / "home"))

    def run_it(path="/model", **parameters):
        address = f"{server}{path}" if path else ""
        known = KnownModel("small", "fetch", "MIT", "images", len(CONTENT), DIGEST, address)
        monkeypatch.setattr(fetchmodel, "known_models", lambda: {"small": known})
        context, algorithm = QgsProcessingContext(), FetchModel().create()
        assert algorithm.canExecute()[0]
        assert algorithm.checkParameterValues(parameters, context) == (True, "")
        return algorithm.run(parameters, context, feedback, {}, False)[0]

    return run_it


def test_the_file_lies_in_the_users_folder_and_its_terms_are_told(run, tmp_path, feedback):
    path = tmp_path / "home" / "models" / "small.safetensors"
    assert run() == {"MODEL": str(path)}
    assert path.read_bytes() == CONTENT
    assert "small learnt from: images." in feedback.infos


def test_another_address_will_do_if_it_has_the_same_file(run, server):
    assert run(path="", ADDRESS=f"{server}/model")["MODEL"].endswith("small.safetensors")


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/other", "is not the model small that was measured"),
        ("/nowhere", "/nowhere can't be fetched"),
        ("", "There is no address yet"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_nothing_is_kept(run, tmp_path, path, sentence):
    with pytest.raises(QgsProcessingException, match=sentence):
        run(path=path)
    assert not list((tmp_path / "home").rglob("*.safetensors"))
