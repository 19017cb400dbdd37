"""Downloads as QGIS does, and what another program needs to go the same way.

Proxy, certificates and authentication are those of QGIS's settings (*Settings > Options >
Network* and *Authentication*).
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from qgis.core import QgsApplication, QgsFileDownloader, QgsNetworkAccessManager, QgsProcessingUtils
from qgis.PyQt.QtCore import QEventLoop, QTimer, QUrl
from qgis.PyQt.QtNetwork import QNetworkProxy, QNetworkProxyQuery

from .listener import Listener, SetupCanceled

_POLL_MILLISECONDS = 100

_SCHEMES = {
    QNetworkProxy.ProxyType.HttpProxy: "http",
    QNetworkProxy.ProxyType.HttpCachingProxy: "http",
    QNetworkProxy.ProxyType.Socks5Proxy: "socks5h",  # the proxy looks names up, as in Qt
}


def fetch(url: str, target: Path, listener: Listener) -> None:
    """Download a file by QGIS's own network access.

    Args:
        url: its address.
        target: where it goes; it is not there when the download fails or is canceled.
        listener: told how many percent of the bytes are there; asked for cancellation.

    Raises:
        OSError: it could not be downloaded; the message is QGIS's.
        SetupCanceled: the user canceled.
    """
    errors: list[str] = []
    loop, timer = QEventLoop(), QTimer()
    download = QgsFileDownloader(QUrl(url), str(target), "", True)
    download.downloadProgress.connect(
        lambda received, total: listener.progress(100 * received / total) if total > 0 else None
    )
    download.downloadError.connect(errors.extend)
    download.downloadExited.connect(loop.quit)
    timer.timeout.connect(lambda: listener.canceled() and download.cancelDownload())
    timer.start(_POLL_MILLISECONDS)
    download.startDownload()
    loop.exec()
    timer.stop()
    if listener.canceled():
        target.unlink(missing_ok=True)
        raise SetupCanceled
    if errors or not target.is_file():
        raise OSError("; ".join(errors) or f"nothing came from {url}")


def proxy_environment(url: str) -> dict[str, str]:
    """Return the variables by which another program reaches an address on QGIS's way.

    Args:
        url: an address that the program will ask for.

    Returns:
        HTTP_PROXY, HTTPS_PROXY: the proxy of QGIS's settings for this address, with user and
        password; NO_PROXY: the hosts that these settings leave out; SSL_CERT_FILE: the authorities
        that QGIS trusts, where some were added to the system's. What QGIS has no setting for is
        left to the system.
    """
    return {**_proxy(url), **_authorities()}


def without_passwords(text: str, environment: dict[str, str]) -> str:
    """Return a text without the passwords that are in `proxy_environment`'s answer."""
    for value in environment.values():
        password = urlsplit(value).password if "://" in value else None
        for form in (password, unquote(password or "")):
            text = text.replace(form, "***") if form else text
    return text


def _proxy(url: str) -> dict[str, str]:
    manager = QgsNetworkAccessManager.instance()
    proxy = manager.proxyFactory().queryProxy(QNetworkProxyQuery(QUrl(url)))[0]
    if proxy.type() not in _SCHEMES or not proxy.hostName():
        return {}
    user = ":".join(quote(part, safe="") for part in (proxy.user(), proxy.password()) if part)
    host = f"{user}@{proxy.hostName()}" if user else proxy.hostName()
    address = f"{_SCHEMES[proxy.type()]}://{host}:{proxy.port()}"
    left_out = [*manager.noProxyList(), *manager.excludeList()]
    hosts = [urlsplit(start).hostname or "" for start in left_out]
    exceptions = {"NO_PROXY": ",".join(filter(None, hosts))}
    return {"HTTP_PROXY": address, "HTTPS_PROXY": address, **exceptions}


def _authorities() -> dict[str, str]:
    """Write the certificates of the trusted authorities where they are not the system's alone."""
    manager = QgsApplication.authManager()
    if manager.isDisabled() or not [*manager.extraFileCAs(), *manager.databaseCAs()]:
        return {}
    path = Path(QgsProcessingUtils.tempFolder()) / "landslide-authorities.pem"
    path.write_bytes(bytes(manager.trustedCaCertsPemText()))
    return {"SSL_CERT_FILE": str(path)}
