"""The algorithm `landslide:trainweak`."""

from qgis.core import (
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
)

from ..landslide_plugin.contract import choices
from .algorithm import EngineAlgorithm
from .parameters import (
    DEVICE_HELP,
    HTML_FILES,
    MODEL_FILES,
    Declaration,
    advanced,
    asked,
    device,
    later,
)


class TrainWeak(EngineAlgorithm):
    """Declares the training from image labels."""

    ID = "trainweak"
    NAME = "Train a model from image labels"
    GROUP = "Samples and training"
    TAGS = ("weak supervision", "cam", "cyclegan", "class activation map", "image labels")
    HELP = """
        Trains a landslide mapper on samples of which it is only known whether they hold a
        landslide, not where. Masks that the samples have are not looked at, but for whether there
        is a landslide in them.

        When: no inventory exists, but somebody can say of some hundred images whether there is a
        landslide. The masks are coarse; the probability that Predict draws with this model can
        serve as the landslides of Samples from stack and landslides, whose low and high leave out
        what is not sure, and those samples for Train a model.

        Method: a classifier tells the two kinds apart, and its class activation map shows by what;
        CycleGAN translates images with landslide to such without, and where the translation
        differs there was one. The intersection of both is the map, which Predict draws from the
        model file. Two trainings run one after another, each goes on where it was if it was
        interrupted.

        Sources: Zhou et al. 2022, Remote Sens. 14:3650; Zhou, B. et al. 2016, CVPR 2921 (class
        activation map); Zhu et al. 2017, ICCV 2242 (CycleGAN).
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            QgsProcessingParameterFile(
                "SAMPLES", "Sample folder", QgsProcessingParameterFile.Behavior.Folder
            ),
            "A folder made by one of the two sample algorithms, of an inventory, of places with "
            "yes and no, or of images parted in two folders.",
        )
        yield (
            asked(choices.TrainWeak.METHOD),
            "The activation map, the difference that CycleGAN makes, or what both show.",
        )
        yield asked(choices.TrainWeak.EPOCHS), "Each takes all images once."
        yield asked(choices.TrainWeak.GAN_EPOCHS), "The longer part by far."
        yield (
            asked(choices.TrainWeak.TILE_SIZE),
            "Images are cut to it, or continued by their mirror image, or resized.",
        )
        yield (
            asked(choices.TrainWeak.REDUCTION),
            "Pixels along a side that become one, so that whole images fit the tile.",
        )
        yield (
            later(advanced(asked(choices.TrainWeak.FIT))),
            "Cut, pixels stay as large as they are. Resized, as in the paper, each image is seen "
            "whole, and the pixels' mean size is the model's.",
        )
        yield (
            asked(choices.TrainWeak.THRESHOLD),
            "Difference of an image from its translation, of 255 grey levels, from which a pixel "
            "is landslide; the paper's is 32. With 0 the labels of the validation images choose "
            "it, as it depends on how long the training was.",
        )
        yield (
            later(advanced(asked(choices.TrainWeak.DIFFERENCE))),
            "grey: the images become grey first, as in the paper, so that a change of colour alone "
            "counts little; bands: what each band changes is summed, which is meant for other "
            "bands than red, green and blue.",
        )
        yield (
            advanced(asked(choices.TrainWeak.ENCODER)),
            "Any encoder of segmentation-models-pytorch.",
        )
        yield (
            advanced(asked(choices.TrainWeak.DEPTH)),
            "Each halves the activation map: with 5, the paper's, 32 pixels along a side become "
            "one, with 2 it is 4. The more there are, the more ground each place of the map sees: "
            "if it is more than a landslide and what is around it, the map tells no place.",
        )
        yield (
            advanced(asked(choices.TrainWeak.PEAK)),
            "Highest part of the activation map by which the classifier judges an image. With 1, "
            "the paper's mean, the map may show what surrounds landslides, such as forest, and not "
            "them.",
        )
        yield (
            advanced(asked(choices.TrainWeak.PRETRAINED)),
            "Begin with weights learnt on photographs: auto takes them where they are installed, "
            "as of tu-tf_efficientnet_lite0; imagenet downloads those of other encoders once.",
        )
        yield advanced(asked(choices.TrainWeak.BATCH_SIZE)), "Images a step."
        yield advanced(asked(choices.TrainWeak.GAN_BATCH_SIZE)), "Images a step."
        yield (
            advanced(asked(choices.TrainWeak.LEARNING_RATE)),
            "The highest of its course.",
        )
        yield (
            advanced(asked(choices.TrainWeak.WIDTH)),
            "Of its first layer; the paper's 64 take four times as long.",
        )
        yield (
            advanced(asked(choices.TrainWeak.BLOCKS)),
            "Of its generators; 9 for tiles of 256 pixels.",
        )
        yield (
            advanced(asked(choices.TrainWeak.RESIDUAL)),
            "Learns in fewer epochs; the paper's makes them anew.",
        )
        yield (
            advanced(asked(choices.TrainWeak.BANDS)),
            "Names of the bands to train on, separated by commas; empty for all.",
        )
        yield device(), DEVICE_HELP
        yield (
            advanced(asked(choices.TrainWeak.SEED)),
            "Of weights, order and cuts.",
        )
        yield (
            QgsProcessingParameterFileDestination("MODEL", "Model file", MODEL_FILES),
            "A model that marks pixels, for Predict.",
        )
        yield (
            QgsProcessingParameterFileDestination(
                "HTML", "Training report", HTML_FILES, optional=True
            ),
            "Figures on image labels, curves, and pictures of what each view sees.",
        )

    def numbers(self) -> dict[str, str]:
        """Return the numbers that training ends with."""
        return {
            "CAM_F1": "F1 score of the classifier on the validation images",
            "GAN_F1": "F1 score of CycleGAN on the validation images",
        }
