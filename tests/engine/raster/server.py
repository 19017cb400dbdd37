"""A server of files with ranges: `python server.py FOLDER` prints its port and serves till killed.

A query is part of a file's name, and so is, after a #, what is posted. A file that begins with ->
sends to the address behind that.

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
        sent = 0 if self.command == "HEAD" else len(part)
        with (FOLDER / "log.txt").open("a") as log:
            log.write(f"{self.command} {self.path} {status} {sent}\n")
        if part.startswith(b"->"):
            status = 302
        self.send_response(status)
        if status == 302:
            self.send_header("Location", part[2:].decode())
        if wanted and part:
            last = int(wanted[1]) + len(part) - 1
            self.send_header("Content-Range", f"bytes {wanted[1]}-{last}/{len(content)}")
        self.send_header("ETag", f'"{hashlib.md5(content).hexdigest()}"')  # noqa: S324
        kind = "application/geo+json" if content.startswith(b"{") else "image/tiff"
        self.send_header("Content-Type", kind)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(part)

    do_HEAD = do_GET

    def do_POST(self):
        """Send the file of a question."""
        self.path += "#" + self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.do_GET()

    def log_message(self, *words):
        """Say nothing."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
    print(server.server_port, flush=True)
    server.serve_forever()
