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

ARCHITECTURES = (
    "fc_densenet",
    "compact_unet",
    "unet",
    "resunet",
    "segnet",
    "fcn8s",
    "fcn_fused",
    "smp_unet",
    "smp_unetplusplus",
    "smp_deeplabv3plus",
    "smp_pspnet",
    "smp_fpn",
    "smp_segformer",
    "mask_rcnn",
)
BACKBONES = (
    "gao2021",
    "light",
    "fc_densenet56",
    "fc_densenet67",
    "fc_densenet103",
    "standard",
    "ronneberger2015",
    "zhang2018",
    "vgg16",
    "resnet34",
    "resnet50",
    "resnet101",
    "vgg16_bn",
    "mobilenet_v2",
    "xception",
    "efficientnet-b0",
    "efficientnet-b4",
    "mit_b0",
    "mit_b2",
    "resnet18",
)
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
        (FC-DenseNet with bottleneck and compression); Ronneberger et al. 2015, MICCAI (U-Net);
        Zhang et al. 2018, IEEE GRSL 15:749 (ResU-Net); Badrinarayanan et al. 2017, IEEE TPAMI
        39:2481 (SegNet); Long et al. 2015, CVPR 3431 (FCN-8s); Chen et al. 2022, Remote Sens.
        14:5517 (FCN of five scales); Yang, S. et al. 2022, Appl. Sci. 12:8153 (U-Net, DeepLabV3+
        and PSPNet with encoders); Zhou et al. 2018, DLMIA (U-Net++); Lin et al. 2017, CVPR 936
        (FPN); Xie et al. 2021, NeurIPS (SegFormer); He et al. 2017, ICCV 2980, and Yang, R. et
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
            "mask_rcnn finds landslides as objects, all others mark pixels. compact_unet is the "
            "quickest on a processor; those that begin with smp_ take any encoder of "
            "segmentation-models-pytorch as their backbone.",
        )
        yield (
            hinted(text("BACKBONE", "Backbone"), BACKBONES),
            "Size or encoder of the architecture; empty for its first. gao2021 (that paper's "
            "size) and light: fc_densenet, unet, resunet; fc_densenet56, 67 and 103: fc_densenet; "
            "standard and light: compact_unet; ronneberger2015: unet; zhang2018: resunet; vgg16 "
            "and light: segnet, fcn8s, fcn_fused; resnet18, 50 and 101: mask_rcnn; the other "
            "encoders, and more: those that begin with smp_.",
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
