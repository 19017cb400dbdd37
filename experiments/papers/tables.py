"""What each table trains, on what, and how."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

QUICK = {"epochs": 1, "tile_size": 64, "batch_size": 4}
"""Settings that only show that a run works."""
RGB = ["red", "green", "blue"]
TERRAIN = [
    "elevation", "slope", "northness", "eastness", "plan_curvature", "profile_curvature", "tri",
]  # fmt: skip
"""Bands derived of the DEM alone."""


@dataclass(frozen=True)
class Data:
    """Samples of a table.

    Attributes:
        name: also that of the function of `data` up to the first hyphen.
        about: what they are, for the reader.
        full: options of that function.
        quick: options that differ in a quick run.
    """

    name: str
    about: str
    full: dict[str, Any]
    quick: dict[str, Any]

    def options(self, quick: bool) -> dict[str, Any]:
        """Return the options of a run."""
        return {**self.full, **(self.quick if quick else {})}


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        name: what it shows.
        data: its samples.
        settings: arguments of `train` besides the table's.
        base: name of the row it is compared with, seed by seed; none when empty.
        seeds: how many of the seeds are run, at most.
        paper: what the source reports, by metric, where it could be verified.
    """

    name: str
    data: Data
    settings: dict[str, Any]
    base: str = ""
    seeds: int = 100
    paper: dict[str, float] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        """A file name."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower().replace("+", "plus")).strip("-")


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: with its source.
        about: what differs from the source, and what to read out of it.
        common: arguments of `train` of all rows.
        rows: in order.
        of_source: whether a source has such a table.
    """

    title: str
    about: str
    common: dict[str, Any]
    rows: list[Row]
    of_source: bool = True

    def settings(self, row: Row, seed: int, quick: bool) -> dict[str, Any]:
        """Return the arguments of `train` of a run."""
        settings = {**self.common, **row.settings, "seed": seed}
        if quick:
            settings |= QUICK
            if "folds" in settings:
                settings["folds"] = 2
        return settings


_BIJIE_WARNING = (
    "Bijie's landslides lie in the middle of every image: hold each figure against the constant "
    "mask. Training tiles are cut at random, so a network can't learn that place."
)
_STAND_IN = (
    "EfficientNet-Lite0 (lite0) stands in for those whose weights can't be had here, with random "
    "and with pretrained weights; the sources' own encoders begin with random ones."
)
_COARSE = {"reduction": 4}
"""Pixels along a side that become one: what is around a landslide tells more than its detail."""
_QUICK_BIJIE = {"landslides": 12, "backgrounds": 4}
BIJIE = Data(
    "bijie",
    "Bijie (Ji et al. 2020), 240 landslide images and 80 without, RGB, averaged to 3.2 m",
    {"landslides": 240, "backgrounds": 80, "validation": 0.15, "test": 0.35, **_COARSE},
    _QUICK_BIJIE,
)
BIJIE_REDUCED = Data(
    "bijie-reduced",
    "Bijie (Ji et al. 2020), 160 landslide images, RGB, averaged to 3.2 m",
    {"landslides": 160, "backgrounds": 0, "validation": 0.15, "test": 0.35, **_COARSE},
    {**_QUICK_BIJIE, "backgrounds": 0},
)
BIJIE_FEW = Data(
    "bijie-few",
    "Bijie (Ji et al. 2020), of which 60 landslide images and 120 without to train on, RGB, "
    "averaged to 3.2 m",
    {"landslides": 150, "backgrounds": 300, "validation": 0.2, "test": 0.4, **_COARSE},
    _QUICK_BIJIE,
)
MARS = Data(
    "mars",
    "Martian landslides (PBVS 2026 challenge), patches of 128 px at 232 m, imagery and terrain",
    {"tiles": 0, "validation": 0.15, "test": 0.3},
    {"tiles": 40},
)
RELIEF_RADIUS = 2000
MARS_RELIEF = Data(
    "mars-relief",
    f"{MARS.about}, with the elevation above its mean within {RELIEF_RADIUS} m",
    {**MARS.full, "radius": RELIEF_RADIUS},
    MARS.quick,
)
KASHMIR = Data(
    "kashmir",
    "Kashmir earthquake of 2005, patches of 64 px at 28.6 m, factors of AW3D30, geology and faults",
    {"validation": 0.15, "test": 0.3},
    {},
)
LANDSLIDE4SENSE = Data(
    "landslide4sense",
    "Landslide4Sense (Ghorbanzadeh et al. 2022), RGB, patches of 128 px at 10 m of one region: "
    "rows 0 to 38 of its layout, 41 to 46 for validation, 49 to 73 for the test",
    {"train": 160, "validation": 48, "test": 120},
    {"train": 12, "validation": 4, "test": 4},
)
_LIGHT = {"architecture": "fc_densenet", "backbone": "light"}
_RCNN = {"architecture": "mask_rcnn", "learning_rate": 3e-4, "epochs": 6}
VHR = str(Path(__file__).parents[2] / "models" / "weights" / "rgb-vhr.safetensors")
LITE0 = "tu-tf_efficientnet_lite0"
"""The encoder whose ImageNet weights come with the engine; it stands in for the sources'."""


def _defaults() -> list[Row]:
    """Return what a training could begin with, on each data set; the first is the base."""
    places: dict[str, tuple[Data, dict[str, Any]]] = {
        "Bijie": (BIJIE, {}),
        "Landslide4Sense": (LANDSLIDE4SENSE, {}),
        "Mars": (MARS, {"bands": [*RGB, "elevation", "slope"]}),
        "Kashmir": (KASHMIR, {"bands": TERRAIN}),
    }
    ways: dict[str, dict[str, Any]] = {
        "U-Net lite0": {},
        "20 epochs": {"epochs": 20},
        "random encoder": {"pretrained": "none"},
        "cross entropy": {"loss": "cross_entropy"},
        "compact U-Net light": {"architecture": "compact_unet", "backbone": "light"},
        "FC-DenseNet light": _LIGHT,
        "focal": {"loss": "focal"},
    }
    return [
        Row(
            f"{place}, {way}",
            data,
            {**chosen, **settings},
            f"{place}, U-Net lite0" if settings else "",
        )
        for way, settings in ways.items()
        for place, (data, chosen) in places.items()
    ]


def _pairs() -> list[Row]:
    pairs = [
        ("U-Net, VGG16", "smp_unet", "vgg16"),
        ("U-Net, ResNet50", "smp_unet", "resnet50"),
        ("DeepLabV3+, MobileNetV2", "smp_deeplabv3plus", "mobilenet_v2"),
        ("DeepLabV3+, Xception", "smp_deeplabv3plus", "xception"),
        ("PSPNet, MobileNetV2", "smp_pspnet", "mobilenet_v2"),
        ("PSPNet, ResNet50", "smp_pspnet", "resnet50"),
    ]
    # the one figure of the source's table that its abstract repeats
    paper = {"PSPNet, ResNet50": {"miou": 0.9118}}
    rows = [
        Row(name, BIJIE, {"architecture": network, "backbone": encoder}, paper=paper.get(name, {}))
        for name, network, encoder in pairs
    ]
    for name, network in {name.split(",")[0]: network for name, network, _ in pairs}.items():
        chosen = {"architecture": network, "backbone": LITE0}
        base = f"{name}, lite0"
        rows += [
            Row(base, BIJIE, {**chosen, "pretrained": "none"}),
            Row(f"{base} pretrained", BIJIE, {**chosen, "pretrained": "auto"}, base),
        ]
    return rows


def _chen() -> list[Row]:
    fcn = {"architecture": "fcn_fused"}
    focal = {"loss": "focal"}
    lite0 = {"architecture": "smp_unet", "backbone": LITE0}
    augmentation = ["flip", "mean_filter", "gamma", "noise"]
    ways: list[tuple[str, dict[str, Any], str]] = [
        ("FCN", fcn, ""),
        ("FCN-FL", {**fcn, **focal}, "FCN"),
        ("FCN-FL, landslide weighing .25", {**fcn, **focal, "alpha": 0.75}, "FCN"),
        ("FCN-FL, augmented", {**fcn, **focal, "augmentation": augmentation}, "FCN"),
        ("FCN-FLK", {**fcn, **focal, "folds": 5}, "FCN"),
        ("U-Net", {"architecture": "unet"}, "FCN"),
        ("SegNet", {"architecture": "segnet"}, "FCN"),
        ("U-Net, lite0", {**lite0, "pretrained": "none"}, "FCN"),
        ("U-Net, lite0 pretrained", lite0, "FCN"),
        ("U-Net-FL, lite0 pretrained", {**lite0, **focal}, "U-Net, lite0 pretrained"),
    ]
    return [Row(name, BIJIE_REDUCED, settings, base) for name, settings, base in ways]


def _terrain() -> list[Row]:
    rows = []
    for begin, settings in (
        (
            "ImageNet",
            {
                "architecture": "smp_unet",
                "backbone": LITE0,
                "pretrained": "auto",
                "decoder": [128, 64, 48, 32, 16],
            },
        ),
        ("rgb-vhr", {"architecture": "smp_unet", "start_from": VHR}),
    ):
        base = f"begun with {begin}, imagery"
        rows += [
            Row(base, MARS_RELIEF, {**settings, "bands": RGB}),
            Row(
                f"begun with {begin}, imagery + slope + relative elevation",
                MARS_RELIEF,
                {**settings, "bands": [*RGB, "slope", f"tpi_{RELIEF_RADIUS}m"]},
                base,
            ),
        ]
    return rows


def _gao() -> list[Row]:
    networks = {
        "FCN-8s": "fcn8s", "SegNet": "segnet", "U-Net": "unet", "ResU-Net": "resunet",
        "FC-DenseNet": "fc_densenet",
    }  # fmt: skip
    rows = []
    for title, network in networks.items():
        base = f"{title}, imagery"
        rows += [
            Row(base, MARS, {"architecture": network, "bands": RGB}),
            Row(
                f"{title}, imagery + factors",
                MARS,
                {"architecture": network, "bands": [*RGB, "elevation", "slope", "thermal"]},
                base,
            ),
        ]
    return rows


def _ryang() -> list[Row]:
    everything = [*RGB, "elevation", "slope"]
    rows = []
    for title, settings, seeds in (
        ("U-Net", {"architecture": "unet"}, 100),
        ("Mask R-CNN", {"architecture": "mask_rcnn", "learning_rate": 3e-4, "epochs": 6}, 1),
    ):
        for name, bands, fraction in (
            ("imagery", RGB, 0.0),
            ("imagery + factors", everything, 0.0),
            ("imagery + enhancement", RGB, 0.5),
            ("imagery + factors + enhancement", everything, 0.5),
        ):
            chosen = {**settings, "bands": bands, "enhancement": fraction}
            base = "" if name == "imagery" else f"{title}, imagery"
            rows.append(Row(f"{title}, {name}", MARS, chosen, base, seeds))
    return rows


TABLES = {
    "defaults": Table(
        "What should a training begin with?",
        "The base is a U-Net whose encoder, EfficientNet-Lite0, has learnt on ImageNet, cross "
        "entropy + dice and as many epochs as make 1500 steps; each other row changes one of "
        f"these. {_BIJIE_WARNING}",
        {
            "architecture": "smp_unet",
            "backbone": LITE0,
            "pretrained": "auto",
            "loss": "cross_entropy_dice",
            "epochs": 0,
            "tile_size": 64,
            "batch_size": 8,
        },
        _defaults(),
        of_source=False,
    ),
    "syang2022": Table(
        "Networks and backbones (Yang, S. et al. 2022, Table 5)",
        "Much fewer images, smaller tiles and fewer epochs than in the source, whose encoders are "
        f"pretrained: {_STAND_IN} In tiles this small DeepLabV3+'s separated convolutions see no "
        f"further than their own place. {_BIJIE_WARNING}",
        {"tile_size": 64, "epochs": 30, "batch_size": 8, "loss": "focal_dice"},
        _pairs(),
    ),
    "chen2022": Table(
        "Focal loss and K-fold (Chen et al. 2022)",
        "FCN: VGG16 with all five scales fused; FL: focal loss; FLK: the mean of five fold models, "
        "each trained on four fifths of the training and validation images together, the others on "
        "the training images alone. "
        f"The test images are the same for all. As to pretrained encoders, {_STAND_IN} "
        f"{_BIJIE_WARNING}",
        {"tile_size": 64, "epochs": 40, "batch_size": 8, "loss": "cross_entropy"},
        _chen(),
    ),
    "ryang2022": Table(
        "Factors and background enhancement (Yang, R. et al. 2022)",
        "Martian tiles stand in, as the source's data are not public: elevation and slope are the "
        "factors, there are no rivers. Mask R-CNN has one seed.",
        {"tile_size": 64, "epochs": 10, "batch_size": 8, "loss": "cross_entropy"},
        _ryang(),
    ),
    "enhancement": Table(
        "Does background enhancement help? (splicing and CutMix of Yang, R. et al. 2022)",
        f"Half of the training tiles are spliced or pasted. {_BIJIE_WARNING}",
        {"tile_size": 64, "epochs": 20, "batch_size": 8, "loss": "cross_entropy"},
        [
            Row("FC-DenseNet light", BIJIE_FEW, _LIGHT),
            Row(
                "FC-DenseNet light + enhancement",
                BIJIE_FEW,
                {**_LIGHT, "enhancement": 0.5},
                "FC-DenseNet light",
            ),
            Row("Mask R-CNN", BIJIE_FEW, _RCNN, seeds=1),
            Row(
                "Mask R-CNN + enhancement",
                BIJIE_FEW,
                {**_RCNN, "enhancement": 0.5},
                "Mask R-CNN",
                seeds=1,
            ),
        ],
    ),
    "factors": Table(
        "Do factors help? (the claim of Gao et al. 2021 and Yang, R. et al. 2022)",
        "The split by map block is the same for all rows of one data set.",
        {"tile_size": 64, "epochs": 15, "batch_size": 8, "loss": "cross_entropy", **_LIGHT},
        [
            Row("Mars, imagery", MARS, {"bands": RGB}),
            Row(
                "Mars, imagery + elevation + slope",
                MARS,
                {"bands": [*RGB, "elevation", "slope"]},
                "Mars, imagery",
            ),
            Row(
                "Mars, imagery + elevation + slope + thermal inertia",
                MARS,
                {"bands": [*RGB, "elevation", "slope", "thermal"]},
                "Mars, imagery",
            ),
            Row("Kashmir, terrain", KASHMIR, {"bands": TERRAIN}),
            Row("Kashmir, terrain + geology + distances", KASHMIR, {}, "Kashmir, terrain"),
        ],
    ),
    "terrain": Table(
        "Does a network of imagery gain by terrain? (START_FROM widened)",
        "The network of `rgb-vhr` goes on with two bands more, of which it has learnt nothing; "
        "beside it one that begins with ImageNet's weights.",
        {"tile_size": 64, "epochs": 30, "batch_size": 8, "loss": "cross_entropy"},
        _terrain(),
        of_source=False,
    ),
    "gao2021": Table(
        "Networks with and without factors (Gao et al. 2021)",
        "Martian tiles stand in, as the source's data are not public: elevation, slope and thermal "
        "inertia are the factors.",
        {"tile_size": 64, "epochs": 30, "batch_size": 8, "loss": "cross_entropy"},
        _gao(),
    ),
}
