"""A server of files with ranges: `python server.py FOLDER` prints its port and serves till killed.

It is a process of its own, as rasterio holds Python's lock while GDAL waits for an answer. Each
request goes to `log.txt` in the folder; where `busy` is, all answers are 503.
"""

import hashlib
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(sys.argv[-1])


class Ranges(BaseHTTPRequestHandler):
    """Answers with parts of files."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Send a part, or all; also to HEAD, but for the content."""
        wanted = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        file = FOLDER / self.path.lstrip("/")
        content = file.read_bytes() if file.is_file() else b""
        status = 503 if (FOLDER / "busy").exists() else 200 if content else 404
        part = content if status == 200 else b""
        if wanted and part:
            status = 206
            part = content[int(wanted[1]) : int(wanted[2] or len(content)) + 1]
        sent = len(part) if self.command == "GET" else 0
        with (FOLDER / "log.txt").open("a") as log:
            log.write(f"{self.command} {self.path} {status} {sent}\n")
        self.send_response(status)
        if wanted and part:
            last = int(wanted[1]) + len(part) - 1
            self.send_header("Content-Range", f"bytes {wanted[1]}-{last}/{len(content)}")
        self.send_header("ETag", f'"{hashlib.md5(content).hexdigest()}"')  # noqa: S324
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(part)

    do_HEAD = do_GET

    def log_message(self, *words):
        """Say nothing."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
    print(server.server_port, flush=True)
    server.serve_forever()
