"""The algorithm `landslide:train`."""

from qgis.core import QgsProcessingParameterFile, QgsProcessingParameterFileDestination

from .algorithm import EngineAlgorithm
from .parameters import (
    HTML_FILES,
    MODEL_FILES,
    Declaration,
    advanced,
    choice,
    device,
    hinted,
    number,
    text,
    whole,
)

ARCHITECTURES = ("fc_densenet", "compact_unet", "mask_rcnn")
BACKBONES = ("gao2021", "light", "standard", "resnet50")
LOSSES = ("cross_entropy", "weighted_cross_entropy", "focal", "dice", "focal_dice")


class Train(EngineAlgorithm):
    """Declares the training."""

    ID = "train"
    NAME = "Train a model"
    GROUP = "Samples and training"
    TAGS = ("deep learning", "fc-densenet", "mask r-cnn", "segmentation", "fit", "network")
    LISTS = {"BANDS": str}
    HELP = """
        Trains a network on samples and writes it as one model file.

        When: where no model at hand knows the sensor, the bands or the landscape.

        Method: fc_densenet marks every pixel and goes with Predict; mask_rcnn finds each
        landslide as an object and goes with Detect. Bands are brought to zero mean and unit
        deviation with the samples' statistics, which the model file keeps. After each epoch the
        network is measured on the validation samples and the best one is kept. Without a GPU
        begin with few epochs.

        Sources: Jegou et al. 2017, CVPR Workshops 1175, and Gao et al. 2021, IEEE JSTARS 14:7881
        (FC-DenseNet with bottleneck and compression); He et al. 2017, ICCV 2980, and Yang, R. et
        al. 2022, Remote Sens. 14:2206 (Mask R-CNN); Lin et al. 2017, ICCV 2999 (focal loss);
        Milletari et al. 2016, 3DV 565 (dice loss).
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            QgsProcessingParameterFile(
                "SAMPLES", "Sample folder", QgsProcessingParameterFile.Folder
            ),
            "A folder made by one of the two sample algorithms.",
        )
        yield (
            choice("ARCHITECTURE", "Architecture", ARCHITECTURES, "fc_densenet"),
            "fc_densenet or the quick compact_unet for pixels, mask_rcnn for objects.",
        )
        yield (
            hinted(text("BACKBONE", "Backbone"), BACKBONES),
            "Size or encoder of the architecture: gao2021 or light (a quarter of the time) of "
            "fc_densenet, standard or light of compact_unet, resnet50 of mask_rcnn; empty for the "
            "first.",
        )
        yield (
            choice("LOSS", "Loss", LOSSES, "cross_entropy"),
            "What training makes small; focal and dice suit landslides that cover little of the "
            "area. Mask R-CNN has its own.",
        )
        yield whole("EPOCHS", "Epochs", 20, 1), "How often training goes through all samples."
        yield (
            whole("BATCH_SIZE", "Batch size", 8, 1),
            "Samples in one step; smaller ones need less memory.",
        )
        yield (
            number("LEARNING_RATE", "Learning rate", 0.001, 0.0, 1.0),
            "Size of the first steps.",
        )
        yield (
            advanced(whole("TILE_SIZE", "Tile size (pixels)", 0, 0, 2048)),
            "Part of each sample that a step sees; 0 for the samples' own size.",
        )
        yield (
            advanced(text("BANDS", "Bands")),
            "Names of the bands to train on, separated by commas; empty for all.",
        )
        yield (
            device(),
            "What the network runs on; auto takes a GPU where there is one.",
        )
        yield (
            advanced(whole("SEED", "Random seed", 0, 0)),
            "The same seed on the same machine gives the same model.",
        )
        yield (
            QgsProcessingParameterFileDestination("MODEL", "Model file", MODEL_FILES),
            "The network with its bands, statistics, threshold and figures, in one safetensors "
            "file.",
        )
        yield (
            QgsProcessingParameterFileDestination(
                "HTML", "Training report", HTML_FILES, optional=True
            ),
            "Curves and figures of the training.",
        )

    def numbers(self) -> dict[str, str]:
        """Return the numbers that training ends with."""
        return {
            "F1": "F1 score on the validation samples",
            "IOU": "Intersection over union on the validation samples",
        }
