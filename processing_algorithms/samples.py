"""The algorithm `landslide:samples`."""

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterRasterLayer,
)

from ..landslide_plugin.contract import choices
from .algorithm import EngineAlgorithm
from .parameters import (
    FILL_HELP,
    Declaration,
    advanced,
    area,
    asked,
    field,
    fill,
    later,
)


class Samples(EngineAlgorithm):
    """Declares the samples."""

    ID = "samples"
    NAME = "Samples from stack and landslides"
    GROUP = "Samples and training"
    TAGS = ("patches", "tiles", "training data", "labels", "split", "deep learning")
    HELP = """
        Cuts training patches, image and label, where landslides were mapped.

        When: with a stack and an inventory of the same date, to train a model of your own. Where
        there is no inventory, with places of which it is known whether there is a landslide; or
        with the probabilities of a weak model, whose unsure pixels are left out.

        Method: a window of the tile size moves over the stack by the stride; patches that hold
        landslides are kept, and of those without as many as asked for, drawn at random. The
        patches are split into training, validation and test either by blocks, so that
        neighbouring patches that overlap never stand on both sides, or at random, which flatters
        the figures and is there for comparison with papers. By blocks each part is a region, what
        lies across a border is dropped, and the shares are those of what is left.
        Mean and standard deviation of every band come from the training patches alone. With a
        raster of false alarms, such as the probability of a model trained before, a share of
        the training background is drawn from where that model takes it for landslide. The ratio of
        landslide to background pixels is told before and after.

        Bands of imagery are read as reflectance where it is known how; the samples, and models
        trained with them, keep the units of each band.

        Source: patches of 64 pixels at a stride of 32 seeded on landslides after Gao et al. 2021,
        IEEE JSTARS 14:7881.
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            QgsProcessingParameterMultipleLayers(
                "STACK", "Stacks", QgsProcessing.SourceType.TypeRaster
            ),
            "One stack, or several of the same bands and resolution; a class of geology or the "
            "like that one of them lacks is 0 there.",
        )
        yield (
            QgsProcessingParameterMapLayer(
                "LANDSLIDES",
                "Landslides",
                types=[
                    QgsProcessing.SourceType.TypeVectorPolygon,
                    QgsProcessing.SourceType.TypeVectorPoint,
                    QgsProcessing.SourceType.TypeRaster,
                ],
            ),
            "The inventory as polygons, or a raster with values above 0 on landslides, or points "
            "or polygons whose field says yes or no.",
        )
        yield (
            field("FIELD", "Field of yes and no", "LANDSLIDES"),
            "Makes image labels, for Train a model from image labels: each point labels the tile "
            "around it, each polygon its bounding box (at least a tile), by yes and no, true and "
            "false, or 1 and 0. Stride and background then have no use.",
        )
        yield (
            later(asked(choices.Samples.HIGH)),
            "For a raster of probabilities, such as that of a model: landslide begins here. Empty "
            "for the threshold that the raster carries, or if it has none for any value above 0.",
        )
        yield (
            later(asked(choices.Samples.LOW)),
            "What lies between it and the value above is not known, and training leaves it out. "
            "Empty for the value above.",
        )
        yield (
            area("Only where the inventory is complete"),
            "Polygons within which all landslides were mapped; pixels outside are unknown and "
            "never count as background.",
        )
        yield (
            asked(choices.Samples.TILE_SIZE),
            "Width and height of a patch in pixels.",
        )
        yield (
            asked(choices.Samples.STRIDE),
            "Step from one patch to the next; half the tile size makes neighbours overlap by half.",
        )
        yield (
            asked(choices.Samples.SPLIT),
            "Blocks keep training and validation apart on the ground; at random they are not, "
            "neither patches that overlap nor dates of one place. By scene whole stacks of several "
            "are held out, such as those of another valley or event; the seed says which.",
        )
        yield (
            asked(choices.Samples.BACKGROUND),
            "How many patches without landslide are kept for each one with.",
        )
        yield (
            QgsProcessingParameterRasterLayer(
                "HARD_NEGATIVES", "Raster of false alarms", optional=True
            ),
            "A raster that is high where background is taken for landslide, such as the "
            "probability of an earlier model; training then sees more of such background.",
        )
        yield (
            advanced(later(asked(choices.Samples.HARD_THRESHOLD))),
            "Background counts as a false alarm from this value of the raster on. Empty for the "
            "threshold that the raster carries, or 0.5 where it carries none.",
        )
        yield (
            advanced(later(asked(choices.Samples.HARD_SHARE))),
            "Share of the training patches without landslide that are drawn by their false "
            "alarms; the others are drawn at random.",
        )
        yield (
            asked(choices.Samples.VALIDATION),
            "Share of the patches that training is watched on.",
        )
        yield (
            asked(choices.Samples.TEST),
            "Share of the patches that training never sees.",
        )
        yield (
            advanced(asked(choices.Samples.SEED)),
            "The same seed gives the same patches and split.",
        )
        yield fill(), FILL_HELP
        yield (
            QgsProcessingParameterFolderDestination("OUTPUT", "Sample folder"),
            "A folder with images, labels and a manifest that training reads.",
        )

    def numbers(self) -> dict[str, str]:
        """Return what the samples hold."""
        return {
            "TRAIN": "Number of training patches",
            "IMBALANCE": "Share of landslide in the training pixels, with a field in the patches",
        }
