"""GDAL's options in the engine's processes; those that the environment has count."""

import os

PATIENCE = {
    "GDAL_HTTP_CONNECTTIMEOUT": "6",
    "GDAL_HTTP_LOW_SPEED_TIME": "6",  # seconds with less than a byte in each
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
    "GDAL_HTTP_TIMEOUT": "600",
}
"""How long GDAL waits for a server, in seconds: up to four times, for a file and what is beside."""

SERVERS = {
    "GDAL_HTTP_MAX_RETRY": "2",
    "GDAL_HTTP_RETRY_DELAY": "1",  # seconds, doubled each time
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",  # the header of most COGs, in one request
    "CPL_VSIL_CURL_CACHE_SIZE": "67108864",  # bytes; windows overlap
}
"""How GDAL reads files on servers, block by block; a busy one (429, 5xx) is asked again."""


def set_up_gdal() -> None:
    """Bound GDAL's memory and patience, let it decompress in parallel; what the user set stays."""
    os.environ.setdefault("GDAL_CACHEMAX", "128")  # MB; else 5 % of the memory, however much it is
    os.environ.setdefault("GDAL_NUM_THREADS", "ALL_CPUS")
    for name, value in {**PATIENCE, **SERVERS}.items():
        os.environ.setdefault(name, value)
