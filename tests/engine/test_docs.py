"""The pages: all are reached, what they point to is there, and they say what the code does."""

import re
from functools import cache
from pathlib import Path

import pytest
from landslide_mapper.landslide_plugin.contract import architectures, fields
from landslide_mapper.landslide_plugin.core import gdal_options, system
from landslide_mapper.landslide_plugin.evaluation import objects
from landslide_mapper.landslide_plugin.factors import (
    distance,
    neighbourhood,
    smoothing,
    streams,
    terrain,
)
from landslide_mapper.landslide_plugin.factors.analysis import counts
from landslide_mapper.landslide_plugin.inference import exportmodel_command, light, tiling
from landslide_mapper.landslide_plugin.inference.runtimes import opening
from landslide_mapper.landslide_plugin.raster import (
    fill_search,
    metres,
    products,
    reflectance,
    threshold,
    warped,
)
from landslide_mapper.landslide_plugin.samples import sample_writer
from landslide_mapper.landslide_plugin.setup import machine
from landslide_mapper.landslide_plugin.training.weak import tasks
from landslide_mapper.models import smp_networks, weak
from landslide_mapper.models.known_models import LIST, SUFFIX, WEIGHTS, known_models
from landslide_mapper.models.model_card import ModelCard
from landslide_mapper.models.model_file import save_model
from landslide_mapper.models.registry import build

from experiments.shipped import cards
from scripts import gates
from scripts.rooms import ENGINE, imports

from .conftest import ROOT

PAGES = sorted((ROOT / "docs").glob("*.md"))
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
ALGORITHMS = sorted((ROOT / "processing_algorithms").glob("*.py"))
SENTENCES = {
    path: re.sub(r'"\s*f?"', "", " ".join(path.read_text(encoding="utf-8").split()))
    for path in (*PAGES, *TOP, *ALGORITHMS)
}
"""Each page and algorithm as one line, texts over several lines of code joined."""

FIGURES = [
    (r"about (\d+) bytes a cell", streams.BYTES_PER_CELL),
    (r"bytes a cell \((\d+) without richdem2\)", streams.BYTES_WITHOUT_RICHDEM),
    (r"about (\d+) bytes a pixel", distance._GROUND_BYTES_PER_PIXEL),
    (r"true to ([\d.]+) % \(UTM|scale lies within ([\d.]+) % of 1", 100 * metres.TOLERANCE),
    (r"a Gaussian cut at (\d+) sigma", smoothing._TRUNCATE),
    (r"differs by less than 1 in (\d+) share a kernel", 1 / smoothing._SAME),
    (r"the tangent counts at least ([\d.]+)", terrain.LEAST_TANGENT),
    (r"clockwise from north, (?:0 to 360; )?(-\d) where flat", neighbourhood.FLAT_ASPECT),
    (r"elevations below (-\d+)", fill_search.GROUND[0]),
    (r"elevations below -\d+ or above (\d+) m", fill_search.GROUND[1]),
    (r"have (\d+) pixels along the border", fill_search.RUN),
    (r"with \(nearly\) all values up to (\d+)", reflectance.LARGEST),
    (r"where (\d+) % of the pixels of some band", 100 * reflectance._DARK),
    (r"a Sentinel-2 image lie below (\d+)", reflectance._DARKEST),
    (r"(?:Collection 2 surface reflectance: |_B4`: )(0\.0000\d+)", products.LANDSAT_SURFACE[0]),
    (r"0\.0000275 and (-[\d.]+)", products.LANDSAT_SURFACE[1]),
    (r"valid where these have at least (half) of the weight", warped.HALF),
    (
        r"given up after (\d+) seconds|not in (\d+) seconds",
        gdal_options.PATIENCE["GDAL_HTTP_LOW_SPEED_TIME"],
    ),
    (r"Windows takes (?:paths of )?(\d+) characters", system.LONGEST_PATH),
    (r"needs macOS (\d+)|For macOS (\d+)|or macOS (\d+)", machine.OLDEST_MACOS),
    (r"[Pp]ython (3\.\d+) to 3\.14", ".".join(map(str, machine.OLDEST))),
    (r"[Pp]ython 3\.11 to (3\.14)", ".".join(map(str, machine.NEWEST))),
    (r"size \| ([\d ]+) bytes at most", gates.LARGEST),
    (r"which is unusually much\"\*\* More than (\d+) %", 100 * sample_writer.MUCH),
    (r"of rasters that tell of none, ([\d.]+)\.", threshold.USUAL),
    (r"or ([\d.]+) where it carries none", threshold.USUAL),
    (r"at an (?:intersection over union|IoU) above ([\d.]+)", objects.MATCH),
    (r"forest on up to ([\d,]+) pixels", counts.SAMPLE),
    (r"those of PyTorch within ([\d.]*\d)", exportmodel_command.TOLERANCE),
    (r"(?:to|is) a multiple of (\d+);", opening.MULTIPLE),
    (r"empty for (\d+) pixels, and a quarter of the window", tiling.CONTEXT),
    (r"so that its (\d+)nd", light.PERCENTILES[0]),
    (r"nd and (\d+)th percentile", light.PERCENTILES[1]),
    (r"\(2 x (\d+) tiles", tasks.BUFFER),
    (r"the paper's is (\d+)\.", weak.THRESHOLD),
    (r"with (\d+), the paper's, 32 pixels", weak.DEPTH),
    (r"empty for (\d+), 128, 64, 32, 16", smp_networks.DECODER[0]),
    (r"probability p: 8 \(high\) from ([\d.]+)", max(fields.CONFIDENCE)),
]
"""What a sentence says, and the constant it says it of."""
WORDS = {"half": 0.5}
FOLDERS = (
    *("docs", "scripts", "tests", "requirements", "benchmarks", "experiments"),
    *("landslide_plugin", "models", "processing_algorithms"),
)


def number(text):
    return WORDS[text] if text in WORDS else float(re.sub(r"[ ,]", "", str(text)))


@pytest.mark.parametrize("pattern, constant", FIGURES)
def test_a_figure_is_that_of_the_code(pattern, constant):
    said = [
        (path.name, next(filter(None, match.groups())))
        for path, text in SENTENCES.items()
        for match in re.finditer(pattern, text)
    ]
    assert said, "no page says so any more"
    wanted = pytest.approx(number(constant), rel=1e-3)
    assert [(page, figure) for page, figure in said if number(figure) != wanted] == []


def links(page):
    """Return what a page points to in this repository, the places in pages left out."""
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    inside = [target for target in targets if "://" not in target]
    named = re.findall(rf"`((?:{'|'.join(FOLDERS)})/[a-z\d_./-]+)`", text)
    return [page.parent / target for target in inside] + [ROOT / name for name in named]


@pytest.mark.parametrize("page", [*PAGES, *TOP], ids=lambda page: page.name)
def test_what_a_page_points_to_is_there(page):
    assert [str(target) for target in links(page) if not target.exists()] == []


def test_every_page_is_reached_from_the_first_one():
    first = ROOT / "docs" / "index.md"
    assert {*PAGES, ROOT / "README.md"} <= {first, *(target.resolve() for target in links(first))}
    assert first in links(ROOT / "README.md")


@pytest.mark.parametrize(
    "name",
    [
        match[1]
        for path in ALGORITHMS
        if (match := re.search(r'^    ID = "(\w+)"$', path.read_text("utf-8"), re.M))
    ],
)
def test_every_algorithm_is_in_the_readme_and_on_the_first_page(name):
    assert f" run landslide:{name}" in SENTENCES[ROOT / "README.md"]
    assert f"| `{name}` |" in SENTENCES[ROOT / "docs" / "index.md"]


@pytest.mark.parametrize("name", [*architectures.SEMANTIC, *architectures.INSTANCE])
def test_the_readme_tells_of_each_network_what_dialog_and_scripts_call_it(name):
    entry = (architectures.SEMANTIC | architectures.INSTANCE)[name]
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    (row,) = (line.split(" | ") for line in lines if line[0:1] == "|" and f"`{name}`" in line)
    assert entry.title.partition(" (")[0] in re.split(", ", row[0].removeprefix("| "))


@pytest.mark.parametrize("name", terrain.FACTORS)
def test_every_terrain_factor_is_on_its_page(name):
    page = (ROOT / "docs" / "terrain_factors.md").read_text(encoding="utf-8")
    rows = [line.split(" | ")[0] for line in page.splitlines() if line[0:2] == "| "]
    assert name in ", ".join(rows).replace("| ", "").split(", ")


@pytest.mark.parametrize("title", ["Gao", "Yang, R.", "Yang, S.", "Chen", "Zhou"])
def test_every_source_of_the_readme_is_in_the_citation_file(title):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    ((year, first_page),) = re.findall(rf"^- {title} et al\. (\d+), .*?:(\d+):", readme, re.M)
    family = title.partition(",")[0]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    entry = next(text for text in citation.split("- type:") if f'start: "{first_page}"' in text)
    assert f"family-names: {family}\n" in entry and f"year: {year}\n" in entry


METHODS = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in (ROOT / "docs" / "methods.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith(("| method or setting", "| ---"))
]


@pytest.mark.parametrize("row", METHODS, ids=lambda row: row[0][:40])
def test_a_method_is_where_its_row_says_and_its_tests_come_by_it(row):
    """All that a test imports is followed; networks are built by their names."""
    _, code, _, tests = row
    files = {file for path in paths(code) for file in (path, *path.rglob("*.py"))}
    assert files and paths(tests)
    for test in paths(tests):
        assert test.name.startswith("test_")
        known = reached(test)
        by_name = {ROOT / "models" / "registry.py"} & known and {*(ROOT / "models").glob("*.py")}
        assert files & (known | by_name), f"{test.name} imports nothing of {code}"


def paths(cell):
    return [ROOT / name for name in re.findall(r"`(\w+/[\w./]*)`", cell)]


@cache
def reached(file):
    """Return all files that one imports, and what these import, and so on."""
    result, ahead = set(), [file]
    while ahead:
        new = set(modules(ahead.pop())) - result
        result |= new
        ahead += new
    return result


ENTRY = (ENGINE / "worker.py", ENGINE / "answer.py")
WALKS = re.findall(
    r"^### (.+?)\n\n(.+?)\n(?=\n|\Z)",
    (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"),
    re.M | re.S,
)


@pytest.mark.parametrize("title, text", WALKS)
class TestWalk:
    def test_has_ten_lines(self, title, text):
        assert [line.split(".")[0] for line in text.split("\n")] == [str(n) for n in range(1, 11)]

    def test_meets_no_file_twice(self, title, text):
        files = re.findall(r"`([\w/]+\.py)`", text)
        assert len(files) == len(set(files))

    def test_follows_the_imports(self, title, text):
        """From each command on, which is imported by its name; the entry is another process."""
        files = [file_of(name) for name in re.findall(r"`([\w/]+\.py)`", text)]
        known = {files[0]}
        for file in files:
            assert file in known or file.stem.endswith("_command") or file in ENTRY
            known |= {file, *modules(file)}


def file_of(name):
    inside = ENGINE / name
    return inside if inside.is_file() else ROOT / name


def modules(file):
    """Yield the files that one imports from, by way of a package's `__init__` too."""
    for _, other in imports(file):
        if isinstance(other, Path):
            yield other
            if other.name == "__init__.py":
                yield from modules(other)


def test_there_are_four_walks():
    assert len(WALKS) == 4


class TestModels:
    def test_their_page_is_rebuilt_from_their_files(self):
        if not all((WEIGHTS / f"{name}{SUFFIX}").exists() for name in known_models()):
            pytest.skip("a model is not in this checkout")
        assert cards.PAGE.read_text(encoding="utf-8") == cards.page()

    def test_a_file_that_says_little_is_told_little_of(self, tmp_path):
        """No sentence of the page stands there whatever the file says."""
        (tmp_path / LIST).write_text("{}", encoding="utf-8")
        task, classes = "semantic-segmentation", ["background", "landslide"]
        card = ModelCard(
            name="bare",
            architecture="unet",
            arguments={"widths": [4, 8]},
            task=task,
            bands=["dem"],
            mean=[0.0],
            std=[1.0],
            resolution=None,
            tile_size=64,
            classes=classes,
        )
        save_model(tmp_path / "bare.safetensors", build("unet", 1, 2, widths=[4, 8]), card)
        size = (tmp_path / "bare.safetensors").stat().st_size
        assert cards.section(tmp_path / "bare.safetensors").split("\n") == [
            "## bare",
            "",
            "- input: dem; pixels of any size",
            f"- network: unet, 1,682 parameters, {size / 1e6:.1f} MB of F32",
            "- data: the file does not say",
            "- split: the file does not say, seed the file does not say",
            "- training: the file does not say",
            "- scales: 1",
            "- threshold: 0.500",
            "",
            "",
        ]
