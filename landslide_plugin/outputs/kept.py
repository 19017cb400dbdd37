"""A folder for what a run has finished, so that one that is broken off can go on from there.

It lies hidden beside the output, whatever broke the run off: a kill, a full disk, a network drive
that was lost. A run that ends well removes it, and so does a run with other inputs for the same
output.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from .whole import KEPT_PREFIX, afterwards


@contextmanager
def kept_folder(output: str | Path, key: Mapping[str, Any], worth: str) -> Iterator[Path]:
    """Yield the folder of an output; it stays where the run is broken off and it holds something.

    Args:
        output: the file to be written.
        key: what the result depends on; a run with another key starts anew.
        worth: names of files, as `glob` takes them, one of which makes it worth going on.
    """
    path = Path(output)
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    folder = path.with_name(f"{KEPT_PREFIX}{path.name}-{digest}")
    for old in path.parent.glob(f"{KEPT_PREFIX}*"):
        if old != folder and old.name[:-17] == f"{KEPT_PREFIX}{path.name}":
            shutil.rmtree(old, ignore_errors=True)
    folder.mkdir(exist_ok=True)
    try:
        yield folder
    finally:
        if folder.is_dir() and not any(folder.glob(worth)):
            shutil.rmtree(folder, ignore_errors=True)
    afterwards(path, partial(shutil.rmtree, folder, ignore_errors=True))
