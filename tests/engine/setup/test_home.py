"""The life of engines: found, listed with their sizes, removed; an update takes none away."""

import json
import os

import pytest
from landslide_mapper.landslide_plugin.setup.home import (
    STAMP,
    engines,
    find,
    is_ready,
    python_of,
    remove,
    remove_cache,
    size_of,
)


def write_engine(index, home, made=0.0, **options):
    """Write what looks like an engine; return its folder."""
    plan = index.plan(**options)
    folder = home / plan.digest()
    python_of(folder).parent.mkdir(parents=True)
    python_of(folder).write_bytes(b"x" * 1000)
    stamp = {**plan.wanted(), "python": "3.12"}
    (folder / STAMP).write_text(json.dumps(stamp))
    os.utime(folder / STAMP, (made, made))
    return folder


def test_each_lock_and_torch_has_a_short_folder_of_its_own(index):
    names = {index.plan(torch=torch).digest() for torch in ("cpu", "pypi", "cu130")}
    index.lock("engine", "torch", "another")
    names.add(index.plan().digest())
    assert len(names) == 4
    assert {len(name) for name in names} == {8}


def test_the_newest_choice_of_torch_is_used(index, tmp_path):
    write_engine(index, tmp_path, made=1)
    newer = write_engine(index, tmp_path, made=2, torch="pypi")
    assert find(tmp_path, index.plan()) == python_of(newer)


def test_an_update_of_the_locks_takes_no_engine_away(index, tmp_path):
    old = write_engine(index, tmp_path, made=2)
    index.lock("engine", "torch", "another")
    assert find(tmp_path, index.plan()) == python_of(old)
    assert not is_ready(index.plan(), old)
    new = write_engine(index, tmp_path, made=1)
    assert find(tmp_path, index.plan()) == python_of(new)


def test_what_is_not_whole_does_not_count(index, tmp_path):
    folder = write_engine(index, tmp_path)
    (folder / STAMP).write_text("{")
    assert find(tmp_path, index.plan()) is None
    assert engines(tmp_path) == []
    assert find(tmp_path / "nowhere", index.plan()) is None


def test_engines_are_listed_with_their_sizes_and_removed(index, tmp_path):
    old = write_engine(index, tmp_path, made=1)
    new = write_engine(index, tmp_path, made=2, torch="pypi")
    listed = engines(tmp_path)
    assert [(engine.folder, engine.torch, engine.python) for engine in listed] == [
        (new, "pypi", "3.12"),
        (old, "cpu", "3.12"),
    ]
    assert listed[1].size == 1000 + (old / STAMP).stat().st_size
    remove(old)
    assert [engine.folder for engine in engines(tmp_path)] == [new]
    assert not old.exists()


@pytest.mark.skipif(os.name == "nt", reason="needs hard links of files in use")
def test_the_cache_may_go_and_what_an_engine_shares_with_it_stays(index, tmp_path):
    folder = write_engine(index, tmp_path)
    (tmp_path / "cache").mkdir()
    os.link(python_of(folder), tmp_path / "cache" / "python")
    remove_cache(tmp_path)
    assert not (tmp_path / "cache").exists()
    assert size_of(folder) > 1000
