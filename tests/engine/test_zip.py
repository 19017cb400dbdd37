"""The plugin's archive: the same bytes everywhere, what is needed alone, through the gates."""

import json
import re
import subprocess
import sys
import time
import zipfile
from configparser import ConfigParser

import numpy as np
import pytest
import yaml
from landslide_mapper.landslide_plugin import __version__
from landslide_mapper.landslide_plugin.setup.machine import Machine
from landslide_mapper.landslide_plugin.setup.plan import Plan

from scripts.gates import check
from scripts.zip import FOLDER, PARTS, make_zip, with_changelog

from .conftest import ROOT

METADATA = """[general]
name=Something
description=Does something.
about=Does it well.
version=0.1.0
qgisMinimumVersion=3.22
author=Somebody
email=somebody@site.org
homepage=https://site.org
tracker=https://site.org/issues
repository=https://site.org/code
license=GPL-2.0-or-later
icon=icon.svg
"""
SYSTEMS = [
    Machine("Linux"), Machine("Linux", "aarch64"), Machine("Windows"),
    Machine("Darwin", "aarch64", 15),
]  # fmt: skip
CONTENT = {
    "__init__.py": "",
    "metadata.txt": METADATA,
    "LICENSE": "GPL",
    "icon.svg": "<svg/>",
    "models/weights/models.json": json.dumps(
        {
            "clear": {"distributed": "zip", "licence": "MIT"},
            "unclear": {"distributed": "zip", "licence": ""},
            "elsewhere": {"distributed": "fetch", "licence": "MIT"},
        }
    ),
    "models/weights/clear.safetensors": "numbers",
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The archive of the last commit."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    path = tmp_path_factory.mktemp("zip") / "plugin.zip"
    make_zip(ROOT, path)
    return path


@pytest.fixture
def findings(tmp_path):
    """Return a function that gives what is found in a small archive with other files besides."""

    def find(changes=(), folder="something", mode=0o644):
        path = tmp_path / "small.zip"
        with zipfile.ZipFile(path, "w") as small:
            for name, text in (CONTENT | dict(changes)).items():
                info = zipfile.ZipInfo(f"{folder}/{name}")
                info.external_attr = (0o100000 | mode) << 16
                if text is not None:
                    small.writestr(info, text)
        return check(path)

    return find


def texts(archive):
    with zipfile.ZipFile(archive) as opened:
        return {
            name.removeprefix(f"{FOLDER}/"): opened.read(name).decode()
            for name in opened.namelist()
            if name.endswith((".py", ".md", ".txt", ".cff"))
        }


class TestArchive:
    def test_the_same_commit_gives_the_same_bytes_elsewhere(self, archive, tmp_path):
        """In a clone with other line ends, permissions and times of its files."""
        clone = tmp_path / "clone"
        options = ["-c", "core.autocrlf=true", "-c", "core.fileMode=false"]
        subprocess.run(["git", "clone", "-q", *options, ROOT, clone], check=True)
        for path in clone.glob("*.md"):
            path.chmod(0o777)
        make_zip(clone, tmp_path / "again.zip")
        assert (tmp_path / "again.zip").read_bytes() == archive.read_bytes()

    def test_times_are_the_commits(self, archive):
        words = ["git", "log", "-1", "--format=%ct"]
        seconds = int(subprocess.run(words, cwd=ROOT, check=True, capture_output=True).stdout)
        with zipfile.ZipFile(archive) as opened:
            times = {entry.date_time for entry in opened.infolist()}
        assert times == {time.gmtime(seconds - seconds % 2)[:6]}

    def test_it_holds_what_the_plugin_needs_and_nothing_else(self, archive):
        with zipfile.ZipFile(archive) as opened:
            names = [name.removeprefix(f"{FOLDER}/") for name in opened.namelist()]
        assert {name.split("/")[0] for name in names} == set(PARTS)
        assert names == sorted(names)
        assert not [name for name in names if "test" in name or "bench" in name.split("/")[0]]

    def test_only_models_of_clear_terms_are_in_it(self, archive):
        with zipfile.ZipFile(archive) as opened:
            result = [name for name in opened.namelist() if name.endswith(".safetensors")]
        weights = f"{FOLDER}/models/weights"
        ours = ("rgb-10m", "sentinel2-rgb", "stack-demo")
        assert result == [f"{weights}/{name}.safetensors" for name in ours]

    def test_pages_and_pictures_that_it_points_to_are_in_it(self, archive):
        pages = texts(archive)
        with zipfile.ZipFile(archive) as opened:
            names = {name.removeprefix(f"{FOLDER}/") for name in opened.namelist()}
        named = {page for text in pages.values() for page in re.findall(r"docs/[\w-]+\.\w+", text)}
        assert named <= names
        shown = " ".join(text for name, text in pages.items() if name.endswith(".md"))
        for picture in (name for name in names if name.endswith((".jpg", ".png"))):
            assert picture.rpartition("/")[2] in shown, picture

    def test_pages_are_made_where_it_is_unpacked(self, archive, make_raster, tmp_path):
        """With its templates, in a folder of a user who is called so."""
        plugins = tmp_path / "Jürgen Ağaoğlu" / "山崩 {{ 7 * 7 }}"
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(plugins)
        mask = make_raster("mask.tif", np.eye(40, dtype=np.uint8))
        html = tmp_path / "the report.html"
        parameters = {"predicted": mask, "reference": mask, "html": str(html)}
        subprocess.run(
            [sys.executable, plugins / FOLDER / "landslide_plugin" / "worker.py"],
            input=json.dumps({"command": "evaluate", "parameters": parameters}).encode(),
            check=True,
            capture_output=True,
        )
        assert "<h1>Accuracy of the landslide map</h1>" in html.read_text(encoding="utf-8")

    def test_nothing_stops_its_publication(self, archive):
        result = check(archive)
        assert [finding.text for finding in result if finding.stops] == []
        assert all("placeholder" in finding.text for finding in result)


class TestOnePlace:
    def test_of_the_version_is_metadata(self):
        citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
        changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
        newest = re.findall(r"^## (\S+)", changes, re.M)[0]
        assert f"version={__version__}\n" in (ROOT / "metadata.txt").read_text(encoding="utf-8")
        assert citation["version"] == newest == __version__
        assert 'version = "' not in (ROOT / "pyproject.toml").read_text().split("[tool")[0]

    def test_the_changelog_gets_into_the_metadata_as_configparser_reads_it(self):
        changelog = (
            "# Changelog\n\n## 2.0\n\n- Exact to 0.3 %.\n\n- More:\n  a lot.\n\n## 1.0\n\n- Old.\n"
        )
        parser = ConfigParser()
        parser.read_string(with_changelog(f"{METADATA}changelog=See there\ntags=a\n", changelog))
        text = parser.get("general", "changelog")
        assert text.startswith("2.0") and "0.3 %." in text and "a lot." in text
        assert "Old" not in text and parser.get("general", "tags") == "a"


def test_the_metadata_tell_what_the_engine_weighs():
    """The most that any system downloads, and has on its disk, as the set-up itself tells it."""
    about = ConfigParser()
    about.read(ROOT / "metadata.txt", encoding="utf-8")
    figures = re.findall(r"up to ([\d.]+) GB.*?\(([\d.]+) GB on disk\)", about["general"]["about"])
    for torches, told in zip((["cpu"], ["pypi", "cu126", "cu130"]), figures, strict=True):
        sizes = [Plan(torch, machine=machine).sizes() for machine in SYSTEMS for torch in torches]
        most = [max(size[key] for size in sizes) for key in ("download", "disk")]
        assert told == tuple(f"{size / 1e9:.1f}" for size in most)


def test_the_citation_file_has_what_its_format_wants():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0" and citation["message"] and citation["title"]
    assert citation["authors"] == [{"name": "Landslide Mapper contributors"}]
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= set(reference)
        assert re.fullmatch(r"10\.\d{4,9}/\S+", reference.get("doi", "10.1234/left-out"))


class TestGates:
    def test_a_good_archive_passes(self, findings):
        assert findings() == []

    @pytest.mark.parametrize(
        ("name", "text", "sentence"),
        [
            ("LICENSE", None, "LICENSE is missing"),
            ("metadata.txt", METADATA.replace("about=", "abaut="), "nothing of about"),
            ("metadata.txt", METADATA.replace("=0.1.0", "=next"), "version is no version: next"),
            ("metadata.txt", METADATA.replace("it well", "100 %"), "can't be read"),
            ("metadata.txt", METADATA.replace("[general]", "[g]"), "can't be read"),
            ("metadata.txt", METADATA.replace("Somebody", "A/B"), "author's name holds a slash"),
            ("metadata.txt", METADATA.replace("https://site.org/code", "code"), "no web address"),
            (
                "metadata.txt",
                f"{METADATA}supportsQt6=yes\n",
                "supportsQt6 is neither True nor False",
            ),
            ("icon.svg", None, "the icon icon.svg is not in the archive"),
            ("../up.py", "", "leads out of the plugin's folder"),
            (".git/config", "", r"is hidden \(.git\)"),
            ("__pycache__/a.txt", "", "lies in __pycache__"),
            ("lib/fast.so", "", "is a program or library"),
            ("setup.sh", "", "is a program or library"),
            ("models/weights/unclear.safetensors", "", "unclear.safetensors has no clear terms"),
            ("models/weights/elsewhere.safetensors", "", "elsewhere.safetensors has no clear"),
            ("a.py", "eval(input())", "Bandit, B307, ./a.py:1"),
            ("a.py", "def (", "Bandit can't read ./a.py"),
            ("a.py", "KEY = 'AKIA" + "QWERTYUIOPASDFGH'", "detect-secrets, a.py:1: AWS"),
        ],
    )
    def test_what_stops_a_publication_is_one_sentence(self, findings, name, text, sentence):
        result = [finding for finding in findings({name: text}) if finding.stops]
        assert any(re.search(sentence, finding.text) for finding in result), result
        assert not any("\n" in finding.text for finding in result)

    def test_placeholders_and_permissions_are_warned_of(self, findings):
        metadata = METADATA.replace("site.org/issues", "example.org/issues")
        result = findings({"metadata.txt": metadata}, mode=0o755)
        assert not any(finding.stops for finding in result)
        assert any("tracker is a placeholder" in finding.text for finding in result)
        assert any("__init__.py is executable" in finding.text for finding in result)

    def test_a_folder_that_is_no_package_name_is_refused(self, findings):
        assert "must be one folder" in findings(folder="land-slide")[0].text

    def test_an_archive_above_the_sites_limit_is_refused(self, findings, monkeypatch):
        monkeypatch.setattr("scripts.gates.LARGEST", 100)
        assert "the site takes 100" in findings()[0].text
