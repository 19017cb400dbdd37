"""Downloads of the set-up go by QGIS's settings, and so does the program that installs."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from landslide_mapper.landslide_plugin.setup import home
from landslide_mapper.landslide_plugin.setup.listener import SetupCanceled
from landslide_mapper.landslide_plugin.setup.network import (
    fetch,
    proxy_environment,
    without_passwords,
)
from landslide_mapper.landslide_plugin.setup.plan import REQUIREMENTS, Plan
from landslide_mapper.processing_algorithms.setupengine import install
from qgis.core import (
    QgsApplication,
    QgsAuthMethodConfig,
    QgsNetworkAccessManager,
    QgsSettings,
    QgsTask,
)
from qgis.PyQt.QtNetwork import QSslCertificate

from ..wheels import write_wheel

CONTENT = bytes(range(256)) * 4096
INDEX, WHEEL = "http://packages.example/simple/", "tinypackage-1.0-py3-none-any.whl"
USER, PASSWORD = "anna", "p@ss:w/d 1"  # pragma: allowlist secret


class Proxy(BaseHTTPRequestHandler):
    """Answers itself what passes it, notes it, and lets nobody pass without name and password."""

    server: Server

    def do_GET(self):
        if not self._passes():
            return
        page = self.server.pages.get(self.path, CONTENT)
        if page is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        if self.path in self.server.stalling:
            self.wfile.write(page[:10])
            self.server.over.wait(30)
        else:
            self.wfile.write(page)

    def do_CONNECT(self):
        if self._passes():
            self.send_error(503)

    def do_HEAD(self):
        self.send_error(405)

    def log_message(self, *words):
        pass

    def _passes(self):
        words = self.headers.get("Proxy-Authorization", "").split()
        if words and base64.b64decode(words[-1]).decode() == f"{USER}:{PASSWORD}":
            self.server.seen.append(self.path)
            return True
        self.send_response(407)
        self.send_header("Proxy-Authenticate", 'Basic realm="here"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Proxy)
        self.seen, self.pages, self.stalling = [], {}, set()
        self.over = threading.Event()


@pytest.fixture
def proxy(qgis_app):
    """A proxy on this machine that QGIS's settings name, with user and password."""
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings, manager = QgsSettings(), QgsNetworkAccessManager.instance()
    values = {
        "proxyEnabled": True,
        "proxyType": "HttpProxy",
        "proxyHost": "127.0.0.1",
        "proxyPort": str(server.server_port),
        "proxyUser": USER,
        "proxyPassword": PASSWORD,
        "noProxyUrls": ["http://inside.example/"],
    }
    for key, value in values.items():
        settings.setValue(f"proxy/{key}", value)
    manager.setupDefaultProxyAndCache()
    yield server
    settings.remove("proxy")
    manager.setupDefaultProxyAndCache()
    server.over.set()
    server.shutdown()
    server.server_close()


class Told:
    """Keeps what it is told; cancels at once where it is said so."""

    def __init__(self, cancels=False):
        self.percents, self._cancels = [], cancels

    def progress(self, percent):
        self.percents.append(percent)

    def message(self, text):
        pass

    warning = log = message

    def canceled(self):
        return self._cancels


class TestFetch:
    def test_takes_the_proxy_of_the_settings(self, proxy, tmp_path):
        listener = Told()
        fetch("http://files.example/uv.whl", tmp_path / "uv.whl", listener)
        assert (tmp_path / "uv.whl").read_bytes() == CONTENT
        assert proxy.seen == ["http://files.example/uv.whl"]
        assert listener.percents[-1] == 100

    def test_takes_it_for_encrypted_addresses_and_in_another_thread(self, proxy, tmp_path):
        """Algorithms run in a thread of their own."""
        failed = []

        def work(task):
            try:
                fetch("https://files.example/uv.whl", tmp_path / "uv.whl", Told())
            except OSError as error:
                failed.append(str(error))

        task = QgsTask.fromFunction("fetch", work)
        QgsApplication.taskManager().addTask(task)
        assert task.waitForFinished(20000)
        assert "files.example:443" in proxy.seen
        assert len(failed) == 1
        assert PASSWORD not in failed[0]
        assert not (tmp_path / "uv.whl").exists()

    def test_what_is_not_there_is_told_and_leaves_nothing(self, proxy, tmp_path):
        proxy.pages["http://files.example/nothing"] = None
        with pytest.raises(OSError, match="Not Found"):
            fetch("http://files.example/nothing", tmp_path / "uv.whl", Told())
        assert list(tmp_path.iterdir()) == []

    def test_cancel_ends_a_download_that_stands_still(self, proxy, tmp_path):
        proxy.stalling.add("http://files.example/uv.whl")
        with pytest.raises(SetupCanceled):
            fetch("http://files.example/uv.whl", tmp_path / "uv.whl", Told(cancels=True))
        assert list(tmp_path.iterdir()) == []


class TestInstaller:
    @pytest.fixture
    def plan(self, proxy, tmp_path, monkeypatch, no_engine, engine_python):
        """One package of an index that only the proxy knows, and the developers' uv."""
        uv = engine_python.with_name("uv")
        if not uv.exists():
            pytest.skip(f"{uv} is absent: run make setup-tests")
        monkeypatch.setenv("PATH", f"{uv.parent}{os.pathsep}{os.environ['PATH']}")
        write_wheel(tmp_path, "tinypackage", "1.0")
        content = (tmp_path / WHEEL).read_bytes()
        proxy.pages[f"{INDEX}tinypackage/"] = f'<a href="../{WHEEL}">{WHEEL}</a>'.encode()
        proxy.pages[INDEX + WHEEL] = content
        requirements = tmp_path / "requirements"
        requirements.mkdir()
        digest = hashlib.sha256(content).hexdigest()
        pin = f"tinypackage==1.0 --hash=sha256:{digest}\n"
        (requirements / "engine.lock").write_text(pin)
        shutil.copy(REQUIREMENTS / "uv.json", requirements)
        monkeypatch.setenv("UV_DEFAULT_INDEX", INDEX)
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # QGIS's settings go first
        return Plan("pypi", requirements=requirements)

    def test_takes_the_same_proxy(self, plan, proxy, feedback):
        python = install(plan, feedback)
        assert {f"{INDEX}tinypackage/", INDEX + WHEEL} <= set(proxy.seen)
        subprocess.run([python, "-c", "import tinypackage"], check=True)
        left = [path for path in python.parents[1].glob("*.*") if path.is_file()]
        told = [*feedback.infos, *feedback.warnings, *feedback.log]
        told += [path.read_text(encoding="utf-8") for path in left]
        assert left
        assert not any("p@ss" in text or "p%40ss" in text for text in told)

    def test_is_ended_by_cancel_and_leaves_no_engine(self, plan, proxy, feedback):
        proxy.stalling.add(INDEX + WHEEL)

        def cancel():
            while INDEX + WHEEL not in proxy.seen and not proxy.over.wait(0.05):
                pass
            feedback.cancel()

        threading.Thread(target=cancel, daemon=True).start()
        with pytest.raises(SetupCanceled):
            install(plan, feedback)
        assert not any(str(home.home()) in words for words in command_lines())
        assert home.engines(home.home()) == []


def command_lines():
    """Return the command lines of all running processes; some end while they are read."""
    result = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            result.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return result


class TestEnvironment:
    def test_is_empty_where_qgis_has_no_settings(self, qgis_app):
        assert proxy_environment("https://packages.example/simple/") == {}

    def test_names_the_proxy_with_user_and_password(self, proxy):
        user = "anna:p%40ss%3Aw%2Fd%201"
        address = f"http://{user}@127.0.0.1:{proxy.server_port}"
        assert proxy_environment("https://packages.example/simple/") == {
            "HTTP_PROXY": address,
            "HTTPS_PROXY": address,
            "NO_PROXY": "inside.example",
        }

    def test_takes_name_and_password_from_an_authentication_configuration(self, proxy):
        manager, settings = QgsApplication.authManager(), QgsSettings()
        if manager.isDisabled():
            pytest.skip("this QGIS has no authentication")
        assert manager.setMasterPassword("made up", True)
        configuration = QgsAuthMethodConfig("Basic")
        configuration.setName("proxy")
        user = {"username": "berta", "password": "in the base"}  # pragma: allowlist secret
        configuration.setConfigMap(user)
        assert manager.storeAuthenticationConfig(configuration)[0]
        settings.remove("proxy/proxyUser")
        settings.remove("proxy/proxyPassword")
        settings.setValue("proxy/authcfg", configuration.id())
        QgsNetworkAccessManager.instance().setupDefaultProxyAndCache()
        way = f"berta:in%20the%20base@127.0.0.1:{proxy.server_port}"
        environment = proxy_environment("https://packages.example/simple/")
        assert environment["HTTPS_PROXY"] == f"http://{way}"
        manager.removeAuthenticationConfig(configuration.id())

    def test_is_empty_for_what_the_settings_leave_out(self, proxy):
        assert proxy_environment("http://inside.example/simple/") == {}

    def test_a_socks_proxy_looks_names_up_itself(self, proxy):
        QgsSettings().setValue("proxy/proxyType", "Socks5Proxy")
        QgsNetworkAccessManager.instance().setupDefaultProxyAndCache()
        result = proxy_environment("https://packages.example/simple/")
        assert result["HTTPS_PROXY"].startswith("socks5h://anna:")

    def test_authorities_that_qgis_was_given_go_with_the_systems(self, qgis_app, tmp_path):
        manager = QgsApplication.authManager()
        system = len(manager.systemRootCAs())
        given = tmp_path / "authority.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
             "-subj", "/CN=Ours", "-keyout", os.devnull, "-out", given],
            check=True, capture_output=True,
        )  # fmt: skip
        manager.storeAuthSetting("cafile", str(given))
        manager.rebuildCaCertsCache()
        manager.rebuildTrustedCaCertsCache()
        try:
            path = proxy_environment("https://packages.example/simple/")["SSL_CERT_FILE"]
            common = QSslCertificate.SubjectInfo.CommonName
            names = [c.subjectInfo(common) for c in QSslCertificate.fromPath(path)]
            assert ["Ours"] in names
            assert system == 0 or len(names) > 1
        finally:
            manager.removeAuthSetting("cafile")
            manager.rebuildCaCertsCache()
            manager.rebuildTrustedCaCertsCache()

    def test_its_passwords_can_be_taken_out_of_texts(self, proxy):
        result = proxy_environment("https://packages.example/simple/")
        text = f"proxy {result['HTTPS_PROXY']} refused {PASSWORD}"
        assert without_passwords(text, result) == (
            f"proxy http://anna:***@127.0.0.1:{proxy.server_port} refused ***"
        )
