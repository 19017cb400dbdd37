"""The algorithm `landslide:importsamples`."""

from qgis.core import (
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
)

from ..landslide_plugin.contract import choices
from .algorithm import EngineAlgorithm
from .parameters import Declaration, advanced, asked, later


class ImportSamples(EngineAlgorithm):
    """Declares the import of public data sets."""

    ID = "importsamples"
    NAME = "Samples from folders of tiles"
    GROUP = "Samples and training"
    TAGS = ("import", "data set", "bijie", "landslide4sense", "training data", "labels", "masks")
    HELP = """
        Takes over a data set of plain tiles as samples: images in one folder and masks in another,
        or, without masks, images with landslide in one folder and images without in another.

        When: to train on one of the public landslide data sets, or on tiles labelled elsewhere.
        Where nobody drew masks, parting the images in two folders is enough for Train a model from
        image labels.

        Method: both folders are searched with all folders in them. An image and a mask belong
        together when their file names are the same but for the ending and words such as image and
        mask: x.jpg and x_mask.png, image_7.h5 and mask_7.h5, landslide/image/x.png and
        landslide/mask/x.png. One folder may hold both. Each connected patch of a mask is one
        landslide. The tiles are split into training, validation and test
        at random by image, by blocks where they have a georeference, or as the data set gives it,
        by a list or folders. Mean and standard
        deviation of every band come from the training tiles alone. The ratio of landslide to
        background pixels is told before and after.

        Masks: values above 0 are landslide, whole numbers below 0 not known; of palettes and
        pictures what is bright; in coloured masks what has a hue, in masks that are transparent
        elsewhere what is opaque. Where lossy formats or resampling left many values, landslide
        begins at half the highest. One rule holds for the whole set, and the log says which where
        it is not plain.

        Source: tile data sets such as Bijie, Ji et al. 2020, Landslides 17:1337.
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        folder = QgsProcessingParameterFile.Behavior.Folder
        yield (
            later(QgsProcessingParameterFile("IMAGES", "Folder of images", folder)),
            "The image tiles, TIFF, PNG, JPEG, WebP, .npy or .h5, of any size.",
        )
        yield (
            later(QgsProcessingParameterFile("MASKS", "Folder of masks", folder)),
            "The masks, each named as its image; it may be the same folder. Left empty, every "
            "image of the folder of images holds a landslide, it is not known where: Train a model "
            "from image labels learns from such.",
        )
        yield (
            later(
                QgsProcessingParameterFile("WITHOUT", "Folder of images without landslide", folder)
            ),
            "More images, none of which holds a landslide; needed where there are no masks. "
            "Without a folder of images they are a set of their own, which Train a model takes as "
            "further samples beside those with landslides.",
        )
        yield (
            asked(choices.ImportSamples.BANDS),
            "Names of the images' bands in their order, separated by commas.",
        )
        yield (
            asked(choices.ImportSamples.RESOLUTION),
            "Metres a pixel; 0 for that of the files, or when unknown.",
        )
        yield (
            asked(choices.ImportSamples.LIMIT),
            "Takes at most this many tiles, drawn from those with landslides first, without masks "
            "as many of either kind; 0 takes all.",
        )
        yield (
            later(asked(choices.ImportSamples.MISSING)),
            "Data sets that leave empty masks away mean that these images hold no landslide; else "
            "leave them out.",
        )
        yield (
            advanced(later(asked(choices.ImportSamples.INSTANCES))),
            "Each value or colour of a mask is one landslide, instead of each connected patch; for "
            "Mask R-CNN.",
        )
        yield (
            later(asked(choices.ImportSamples.SPLIT)),
            "At random it is by image, which does not keep dates of one place together; by blocks "
            "training and validation are apart on the ground, which needs georeferenced images. A "
            "split that the data set brings along is taken from a list, or from folders called "
            "train, validation and test; images of other parts go nowhere.",
        )
        yield (
            later(QgsProcessingParameterFile("SPLIT_LIST", "List of the split", optional=True)),
            "For the split by a list: a CSV file with a column file (or name) and a column split "
            "(or part, or fold) of the words train, validation and test, or of others that are "
            "named below. A column gain, if any, holds what each image's values are multiplied by, "
            "columns scene, row and column where it lies, counted in images.",
        )
        yield (
            advanced(later(asked(choices.ImportSamples.GAINS))),
            "Whether to multiply each image's values by the gain that the list has for it, if any.",
        )
        yield (
            advanced(later(asked(choices.ImportSamples.MARGIN))),
            "Of images that are pieces of a scene, those for training get so many pixels of their "
            "neighbours for training around them, so that tiles are cut anywhere in the scene, not "
            "within an image alone; half of an image's side is good. The list must say where each "
            "lies.",
        )
        yield (
            advanced(later(asked(choices.ImportSamples.TRAIN_PARTS))),
            "Parts of the list, or folders, that are for training, separated by commas; others "
            "stands for all that are not named here or below. Empty for those called train.",
        )
        yield (
            advanced(later(asked(choices.ImportSamples.VALIDATION_PARTS))),
            "Parts of the list, or folders, for validation, such as 1 of five folds called 0 to 4. "
            "Empty for those called validation.",
        )
        yield (
            advanced(later(asked(choices.ImportSamples.TEST_PARTS))),
            "Parts of the list, or folders, for test. Empty for those called test.",
        )
        yield (
            asked(choices.ImportSamples.VALIDATION),
            "Share of the tiles that training is watched on.",
        )
        yield (
            asked(choices.ImportSamples.TEST),
            "Share of the tiles that training never sees.",
        )
        yield (
            advanced(asked(choices.ImportSamples.SEED)),
            "The same seed gives the same tiles and split.",
        )
        yield (
            QgsProcessingParameterFolderDestination("OUTPUT", "Sample folder"),
            "A folder with images, labels and a manifest that training reads.",
        )

    def numbers(self) -> dict[str, str]:
        """Return what the samples hold."""
        return {
            "TRAIN": "Number of training tiles",
            "IMBALANCE": "Share of landslide in the training pixels, without masks in the tiles",
        }
