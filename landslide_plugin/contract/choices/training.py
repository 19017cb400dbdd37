"""Parameters of the Toolbox's group "Samples and training"."""

from __future__ import annotations

from ..architectures import INSTANCE, SEMANTIC
from ..kinds import Choice, Flag, Number, Numbers, OptionalNumber, Several, Text, Texts, Whole
from . import shared

_BLOCKS, _RANDOM = {"blocks": "By spatial blocks"}, {"random": "At random"}
_SCENE = {"scene": "By scene (whole stacks)"}
_GIVEN = {"list": "By a list", "folders": "By folders train, validation, test"}
_VALIDATION = Number("Share for validation", above=0.0, high=0.9, default=0.2)
_PRETRAINED = Choice(
    "Pretrained encoder",
    {
        "auto": "Where its weights are installed",
        "none": "No",
        "imagenet": "Yes, downloaded where need be",
    },
    "auto",
)
_TEST = Number("Share for test", low=0.0, high=0.9)


class Samples:
    """Of `samples`."""

    LOW = OptionalNumber("No landslide below this value")
    HIGH = OptionalNumber("Landslide from this value on")
    TILE_SIZE = Whole("Tile size", low=16, high=2048, unit="pixels", default=64)
    STRIDE = Whole("Stride", low=1, high=2048, unit="pixels", default=32)
    SPLIT = Choice("Split", {**_BLOCKS, **_RANDOM, **_SCENE}, "blocks")
    BACKGROUND = Number("Background patches for each landslide patch", low=0.0, default=1.0)
    HARD_THRESHOLD = OptionalNumber("Threshold of false alarms")
    HARD_SHARE = Number("Share of hard background", low=0.0, high=1.0, default=0.5)
    VALIDATION = _VALIDATION
    TEST = _TEST
    SEED = shared.SEED
    FILL = shared.FILL


class ImportSamples:
    """Of `importsamples`."""

    BANDS = Texts("Band names", ("red", "green", "blue"))
    RESOLUTION = Number("Resolution", low=0.0, unit="m")
    LIMIT = Whole("Largest number of tiles", low=0)
    MISSING = Choice(
        "Images without a mask",
        {"background": "Hold no landslide", "left_out": "Are left out"},
        "background",
    )
    INSTANCES = Flag("Mask values number the landslides")
    SPLIT = Choice("Split", {**_RANDOM, **_BLOCKS, **_GIVEN}, "random")
    GAINS = Flag("Multiply by the list's gains", default=True)
    MARGIN = Whole("Margin of neighbouring tiles", low=0, unit="pixels")
    TRAIN_PARTS = Texts("Parts for training")
    VALIDATION_PARTS = Texts("Parts for validation")
    TEST_PARTS = Texts("Parts for test")
    VALIDATION = _VALIDATION
    TEST = _TEST
    SEED = shared.SEED


class Train:
    """Of `train`."""

    SAMPLES_WEIGHTS = Numbers("Weights of the sample folders", above=0.0, high=100.0)
    MORE_VALIDATION = Flag("Judge by the further folders too")
    ARCHITECTURE = Choice(
        "Architecture",
        {name: entry.title for name, entry in {**SEMANTIC, **INSTANCE}.items()},
        "fc_densenet",
    )
    BACKBONE = Text(
        "Backbone",
        hints=tuple(
            dict.fromkeys(
                name for entry in {**SEMANTIC, **INSTANCE}.values() for name in entry.backbones
            )
        ),
    )
    PRETRAINED = _PRETRAINED
    DECODER = Numbers("Channels of the decoder", low=1.0, high=2048.0, count=5, whole=True)
    DROPOUT = OptionalNumber("Dropout (share)", low=0.0, high=0.9)
    LOSS = Choice(
        "Loss",
        {
            "cross_entropy": "Cross entropy",
            "cross_entropy_dice": "Cross entropy + Dice",
            "binary_cross_entropy": "Binary cross entropy",
            "weighted_cross_entropy": "Weighted cross entropy",
            "focal": "Focal (Lin et al. 2017)",
            "dice": "Dice (Milletari et al. 2016)",
            "focal_dice": "Focal + Dice (Yang, S. et al. 2022)",
            "tversky": "Tversky (Salehi et al. 2017)",
            "lovasz": "Lovász (Berman et al. 2018)",
        },
        "cross_entropy",
    )
    """Each word is a function's in `training/loop/losses.py`."""

    ALPHA = Number("Weight of background in the focal loss", above=0.0, high=0.99, default=0.25)
    """Chen et al. 2022, section 3.3; landslide weighs 1 - alpha, and not nothing."""

    GAMMA = Number("Focus of the focal loss", low=0.0, high=10.0, default=1.75)
    """Chen et al. 2022, section 3.3."""

    CLASS_WEIGHTS = Numbers(
        "Weights of background and landslide", above=0.0, count=2, default=(1.0, 2.0)
    )
    """Yang, S. et al. 2022."""

    EPOCHS = Whole("Epochs (0 for enough)", low=0)
    BATCH_SIZE = Whole("Batch size", low=1, default=8)
    LEARNING_RATE = Number("Learning rate", above=0.0, high=1.0, default=0.001)
    OPTIMIZER = Choice(
        "Optimizer",
        {"adamw": "AdamW (Loshchilov and Hutter 2019)", "adam": "Adam (Kingma and Ba 2015)"},
        "adamw",
    )
    """AdamW shrinks the weights a little in each step, Adam doesn't."""

    SCHEDULE = Choice(
        "Learning rate schedule",
        {
            "one_cycle": "One cycle (Smith and Topin 2019)",
            "cosine": "Cosine (Loshchilov and Hutter 2017)",
            "constant": "Constant",
        },
        "one_cycle",
    )
    """Each word is a function's in `training/loop/schedule.py`."""

    FROZEN_EPOCHS = Whole("Epochs with frozen encoder", low=0)
    ENCODER_RATE = Number(
        "Learning rate of a learnt encoder (share)", above=0.0, high=1.0, default=0.1
    )
    """Yang, S. et al. 2022 train on with a tenth."""

    PATIENCE = Whole("Patience", low=0, unit="epochs")
    AVERAGING = Number("Averaging of the weights", low=0.0, high=0.9999, default=0.99)
    FOLDS = Whole("Folds", low=0, high=20)
    BALANCED_VALIDATION = Flag("Validation on as many samples without landslide as with")
    AUGMENTATION = Several(
        "Augmentation",
        {
            "flip": "Mirror images",
            "quarter_turn": "Quarter turns",
            "rotate": "Rotation",
            "scale": "Scale",
            "crop": "Crop",
            "view": "Views of whole images",
            "mean_filter": "Mean filter",
            "gamma": "Gamma",
            "noise": "Noise",
            "light": "Light of another scene",
            "edge": "Edges of a scene",
            "gain": "Gain",
            "brightness": "Brightness",
            "contrast": "Contrast",
            "colour": "Colour",
            "turn_directions": "Directions turn along",
            "none": "None",
        },
        ("flip", "quarter_turn"),
    )
    VIEW_SCALES = Numbers(
        "Views' least and largest share of the side", low=0.1, high=4.0, count=2, default=(0.5, 1.4)
    )
    LARGEST_SCALE = Number("Largest change of scale", low=1.0, high=4.0, default=1.25)
    ENHANCEMENT = Number("Background enhancement (share)", low=0.0, high=1.0)
    PASTED = Number("Pasted, not spliced (share)", low=0.0, high=1.0, default=0.5)
    PASSES = Whole("Passes over landslide samples", low=1, high=100, default=1)
    SCALES = Numbers("Reading scales", low=0.5, high=16.0)
    TURNED = Flag("Read in quarter turns")
    TILE_SIZE = Whole("Tile size", low=0, high=2048, unit="pixels")
    RESOLUTION = Number("Resolution", low=0.0, unit="m")
    BANDS = shared.BANDS
    DEVICE = shared.DEVICE
    SEED = shared.SEED
    RESUME = Flag("Go on with an interrupted training", default=True)
    NAME = Text("Name of the model")
    LICENCE = Text("Licence")
    DATA = Text("What the samples show")
    LIMITS = Text("Where the model does not work")
    SYNTHETIC = Flag("Samples are generated")
    SCENE_LIGHT = Flag("Scenes are brought to the samples' light")
    HALF = Flag("Weights of 16 bits")


class TrainWeak:
    """Of `trainweak`."""

    METHOD = Choice(
        "Method",
        {
            "both": "Both (Zhou et al. 2022)",
            "cam": "Class activation map",
            "cyclegan": "CycleGAN's difference",
        },
        "both",
    )
    EPOCHS = Whole("Epochs of the classifier", low=1, default=20)
    GAN_EPOCHS = Whole("Epochs of CycleGAN", low=1, default=20)
    TILE_SIZE = Whole("Tile size", low=32, high=1024, unit="pixels", default=128)
    REDUCTION = Whole("Reduction", low=1, high=64, default=1)
    FIT = Choice("Images to tiles", {"crop": "Cut", "resize": "Resized as a whole"}, "crop")
    THRESHOLD = Number("Grey difference", low=0.0, high=255.0)
    DIFFERENCE = Choice(
        "Difference of images",
        {
            "auto": "Grey for red, green and blue of 8 bits, else by band",
            "grey": "Of grey images (Zhou et al. 2022)",
            "bands": "Summed over bands",
        },
        "auto",
    )
    ENCODER = Text(
        "Encoder of the classifier",
        "resnet50",
        hints=("resnet50", "resnet18", "resnet34", "mobilenet_v2", "efficientnet-b0"),
    )
    DEPTH = Whole("Stages of the encoder", low=2, high=5, default=2)
    PEAK = Number("Share of the map that tells", above=0.0, high=1.0, default=0.15)
    PRETRAINED = _PRETRAINED
    BATCH_SIZE = Whole("Batch size of the classifier", low=2, default=16)
    GAN_BATCH_SIZE = Whole("Batch size of CycleGAN", low=2, default=4)
    LEARNING_RATE = Number("Learning rate of the classifier", above=0.0, high=1.0, default=0.001)
    WIDTH = Whole("Channels of CycleGAN", low=4, high=256, default=32)
    BLOCKS = Whole("Residual blocks of CycleGAN", low=1, high=20, default=6)
    RESIDUAL = Flag("CycleGAN changes images, not makes them anew", default=True)
    BANDS = shared.BANDS
    DEVICE = shared.DEVICE
    SEED = shared.SEED


class ExportModel:
    """Of `exportmodel`."""

    FORMAT = Choice("Format", {"onnx": "ONNX", "stac": "STAC item"}, "onnx")
    TILE_SIZE = shared.TILE_SIZE
    ANY_SIZE = Flag("Any tile size")
