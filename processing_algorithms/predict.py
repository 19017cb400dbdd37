"""The algorithm `landslide:predict`."""

from qgis.core import (
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

from ..landslide_plugin.contract import choices
from .algorithm import EngineAlgorithm
from .parameters import (
    ANY_MODEL_FILES,
    DEVICE_HELP,
    FILL_HELP,
    FRACTION_HELP,
    Declaration,
    advanced,
    area,
    asked,
    crew,
    device,
    files,
    fill,
    later,
    model_file,
    rasters,
)


class Predict(EngineAlgorithm):
    """Declares the prediction."""

    ID = "predict"
    NAME = "Predict landslide probability"
    GROUP = "Mapping"
    TAGS = ("deep learning", "inference", "segmentation", "fc-densenet", "sliding window")
    STYLES = {"PROBABILITY": "probability", "MASK": "mask", "UNCERTAINTY": "uncertainty"}
    HELP = """
        Runs a model over a stack and writes the probability of landslide for every pixel.

        When: with a stack that holds the model's bands, at about the resolution it was trained
        at. For a whole chain from image and DEM use Map landslides.

        Method: a window slides over the stack with overlap, and where windows overlap their
        probabilities are blended, the middle of each counting most, so that no seams show. Bands
        are found by name and scaled with the statistics in the model file. Pixels that are nodata
        in any of the bands stay nodata. Where the stack's pixels are more than a quarter larger or
        smaller than those the model was trained on, each window is resampled for the network and
        its answer back.

        Where it is known how the stack's imagery and the model's training relate to reflectance,
        the numbers are brought to those of the training; where it is not known, a stack on another
        scale is warned of.

        The probabilities are calibrated by the temperature in the model file, which the logit of
        landslide is divided by and which was fitted to the pixels of validation: of those with a
        probability of 0.7 about 70 in 100 are landslide, on ground like that of the samples. A file
        without one is taken as it is. The standard deviation is brought to the same scale.

        What decides the pixels (models, runtime and its precision, light, windows, threshold,
        versions) is decided once for all stacks, and each raster carries it as LANDSLIDE_PLAN.

        A run that is canceled or broken off leaves its finished rows in a hidden folder beside
        the probability raster. The same run, to the same file, goes on from there; any other run
        to that file removes them.

        Sources: sliding window over the whole area after Gao et al. 2021, IEEE JSTARS 14:7881;
        blended windows, Pielawski and Wählby 2020, PLOS ONE 15:e0229839; temperature, Guo et al.
        2017, ICML; landslide fraction, Saerens et al. 2002, Neural Computation 14:21.
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            QgsProcessingParameterRasterLayer("STACK", "Stack"),
            "Raster with the bands that the model lists, in any order; of tiles one image "
            "is made by Many files as one image.",
        )
        yield (
            model_file(ANY_MODEL_FILES),
            "A model that marks pixels, made by Train a model, or an ONNX file with the metadata "
            "of Deepness or STAC MLM.",
        )
        yield area(), "Pixels outside these polygons are not predicted; empty for all."
        yield (
            asked(choices.Predict.THRESHOLD),
            "Probability from which a pixel of the mask is landslide; empty for the model's own, "
            "of several the first one's. The probability raster carries it, so that later steps "
            "take the same.",
        )
        yield (
            later(files("MORE_MODELS", "Further models to average with")),
            """Their probabilities are averaged with the first model's; the classes must be the
            same. A file that holds the models of several folds is averaged as it is.""",
        )
        yield (
            later(asked(choices.Predict.TTA)),
            """Also looks at each window turned and mirrored and averages the eight answers: a
            little more accurate, eight times as slow. A model that reads in quarter turns itself
            (see *Train a model*) is asked mirrored alone, twice as slow. Bands such as aspect keep
            their values or turn along, as in the model's training.""",
        )
        yield (
            later(rasters("MORE_STACKS", "Further stacks")),
            """Predicted in the same run. Their rasters are written beside the outputs, with the
            stack's name added to the file name; they are not loaded. Where the model is fitted to
            the scene's light, all stacks get one: give the files of one scene, and each day a run
            of its own.""",
        )
        yield (
            advanced(
                later(
                    QgsProcessingParameterRasterLayer("LIGHT", "Scene of the light", optional=True)
                )
            ),
            """The raster of a whole scene or region, of which the stacks are parts. A model that is
            fitted to the scene's light takes it from there, so that parts that are mapped one by
            one get the same; empty for the light of the stacks of this run.""",
        )
        yield (
            advanced(asked(choices.Predict.TILE_SIZE)),
            """Width and height of the window in pixels of the model's resolution; 0 chooses by
            model and device.""",
        )
        yield (
            advanced(asked(choices.Predict.OVERLAP)),
            """Share of the window that it has in common with the next one; empty for 64 pixels, and
            a quarter of the window at most.""",
        )
        yield (
            advanced(asked(choices.Predict.BATCH_SIZE)),
            "Windows run at once; 0 chooses by the device. Where memory is short it is halved.",
        )
        yield device(), DEVICE_HELP
        yield (
            advanced(later(asked(choices.Predict.RUNTIME))),
            """What computes the network. By the work, that is windows x parameters of the model:
            OpenVINO where it is installed and there is much, PyTorch for little; each in half
            precision where the processor has it and probabilities stay. Nothing is timed, so the
            same run gives the same map however busy the machine is.""",
        )
        yield (
            advanced(later(asked(choices.Predict.LANDSLIDE_FRACTION))),
            FRACTION_HELP,
        )
        yield fill(), FILL_HELP
        yield from crew()
        yield (
            QgsProcessingParameterRasterDestination("PROBABILITY", "Landslide probability"),
            """A cloud-optimized float32 GeoTIFF from 0 to 1, nodata -9999; for a model of several
            kinds of landslide one band a kind.""",
        )
        yield (
            QgsProcessingParameterRasterDestination("MASK", "Landslide mask", optional=True),
            """A GeoTIFF with 1 on landslides (or the number of the kind), 0 elsewhere, nodata
            255.""",
        )
        yield (
            later(
                QgsProcessingParameterRasterDestination(
                    "UNCERTAINTY", "Uncertainty", optional=True, createByDefault=False
                )
            ),
            """Standard deviation of the landslide probability between the models, or between the
            eight answers of one with test-time augmentation: a float32 GeoTIFF, nodata -9999.""",
        )
