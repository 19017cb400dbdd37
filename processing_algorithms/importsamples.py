"""The algorithm `landslide:importsamples`."""

from qgis.core import QgsProcessingParameterFile, QgsProcessingParameterFolderDestination

from .algorithm import EngineAlgorithm
from .parameters import Declaration, advanced, number, text, whole


class ImportSamples(EngineAlgorithm):
    """Declares the import of public data sets."""

    ID = "importsamples"
    NAME = "Samples from folders of tiles"
    GROUP = "Samples and training"
    TAGS = ("import", "data set", "bijie", "landslide4sense", "training data", "labels", "masks")
    LISTS = {"BANDS": str}
    HELP = """
        Takes over a data set of plain tiles, images in one folder and masks in another, as
        samples.

        When: to train on one of the public landslide data sets, or on tiles labelled elsewhere.

        Method: an image and a mask belong together when their file names are the same but for the
        ending, or are image_7 and mask_7; an image without a mask holds no landslide. Mask values
        above 0 are landslide, and each connected patch is one landslide. The tiles are split into
        training, validation and test at random by image. Mean and standard deviation of every
        band come from the training tiles alone.

        Source: tile data sets such as Bijie, Ji et al. 2020, Landslides 17:1337.
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        folder = QgsProcessingParameterFile.Folder
        yield (
            QgsProcessingParameterFile("IMAGES", "Folder of images", folder),
            "The image tiles, TIFF, PNG, JPEG or WebP, of any size.",
        )
        yield (
            QgsProcessingParameterFile("MASKS", "Folder of masks", folder),
            "The masks, each named as its image.",
        )
        yield (
            text("BANDS", "Band names", "red, green, blue"),
            "Names of the images' bands in their order, separated by commas.",
        )
        yield (
            number("RESOLUTION", "Resolution (m)", 0.0, 0.0),
            "Metres a pixel, where the tiles have no georeference; 0 when unknown.",
        )
        yield (
            whole("LIMIT", "Largest number of tiles", 0, 0),
            "Takes at most this many tiles, drawn from those with landslides first; 0 takes all.",
        )
        yield (
            number("VALIDATION", "Share for validation", 0.2, 0.0, 0.9),
            "Share of the tiles that training is watched on.",
        )
        yield (
            number("TEST", "Share for test", 0.0, 0.0, 0.9),
            "Share of the tiles that training never sees.",
        )
        yield (
            advanced(whole("SEED", "Random seed", 0, 0)),
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
            "IMBALANCE": "Share of landslide in the training pixels",
        }
