"""The algorithm `landslide:train`."""

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
    files,
    later,
    rasters,
)


class Train(EngineAlgorithm):
    """Declares the training."""

    ID = "train"
    NAME = "Train a model"
    GROUP = "Samples and training"
    TAGS = ("deep learning", "fc-densenet", "mask r-cnn", "segmentation", "fit", "network", "u-net")
    HELP = """
        Trains a network on samples and writes it as one model file.

        When: where no model at hand knows the sensor, the bands or the landscape.

        Method: Mask R-CNN finds each landslide as an object and goes with Detect; all others mark
        every pixel and go with Predict. Bands are brought to zero mean and unit deviation with the
        samples' statistics, which the model file keeps. After each epoch the network is measured
        on the validation samples and the best one is kept; it is measured once more on the test
        samples, where there are any, by which nothing was chosen. At the end a temperature is
        fitted to the validation pixels, by which Predict calibrates probabilities (Guo et al.
        2017, ICML); it stays 1 where these are fewer than 1,000 of landslide or of background,
        or where it would bring nothing. The calibration error is told on the test samples too.
        Without a GPU begin with few epochs and a light backbone. Cancel keeps the best model so
        far. What an interrupted training has reached lies beside the model file (.checkpoint): the
        same run started again goes on from it, and removes it at its end.

        Sources: Gao et al. 2021, IEEE JSTARS 14:7881 (FC-DenseNet of Jegou et al. 2017, U-Net,
        ResU-Net, SegNet, FCN-8s); Chen et al. 2022, Remote Sens. 14:5517 (FCN of five scales,
        focal loss, folds); Yang, S. et al. 2022, Appl. Sci. 12:8153 (encoders of U-Net, DeepLabV3+
        and PSPNet, frozen at first, focal + dice loss); Yang, R. et al. 2022, Remote Sens. 14:2206
        (Mask R-CNN of He et al. 2017, background enhancement); Milletari et al. 2016, 3DV 565
        (dice loss); Salehi et al. 2017, MLMI (Tversky loss); Berman et al. 2018, CVPR (Lovasz
        loss).
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            QgsProcessingParameterFile(
                "SAMPLES", "Sample folder", QgsProcessingParameterFile.Behavior.Folder
            ),
            "A folder made by one of the two sample algorithms.",
        )
        yield from self._more_samples()
        yield from self._network()
        yield from self._course()
        yield from self._data()
        yield from self._machine()
        yield from self._card()
        yield (
            QgsProcessingParameterFileDestination("MODEL", "Model file", MODEL_FILES),
            "The network with its bands, statistics, threshold and figures, in one safetensors "
            "file.",
        )
        yield (
            QgsProcessingParameterFileDestination(
                "HTML", "Training report", HTML_FILES, optional=True
            ),
            "Curves and figures of the training, beside what needs no network.",
        )

    def numbers(self) -> dict[str, str]:
        """Return the numbers that training ends with."""
        return {
            "F1": "F1 score on the validation samples",
            "IOU": "Intersection over union on the validation samples",
            "THRESHOLD": "Probability from which the model says landslide",
            "TEST_F1": "F1 score on the test samples; empty where there are none",
            "TEST_IOU": "Intersection over union on the test samples; empty where there are none",
        }

    def _more_samples(self) -> Declaration:
        yield (
            advanced(files("MORE_SAMPLES", "Further sample folders")),
            "The manifest.json of each further folder to train on, such as one of pseudo-labels; "
            "bands are found by name, and pixels must be of one size.",
        )
        yield (
            advanced(later(asked(choices.Train.SAMPLES_WEIGHTS))),
            "How often a sample of each folder is drawn, the first folder first: 1, 0.5 has every "
            "second sample of a further folder in each epoch. One more number is that of the "
            "scenes without labels. Empty for 1 each.",
        )
        yield (
            advanced(later(asked(choices.Train.MORE_VALIDATION))),
            "Validation and test samples of the further folders judge too; else they are left out, "
            "and the first folder alone says how good the model is.",
        )
        yield (
            advanced(later(rasters("UNLABELLED", "Scenes without labels"))),
            "Stacks with the samples' bands and pixel size, such as the scene to be mapped, to "
            "learn from too (self-training, Lee 2013): a first training, which takes as long "
            "again, labels them where it is sure, and a second one learns from these labels and "
            "the samples. Each is taken as a scene with a light of its own. Figures and threshold "
            "are of the samples alone.",
        )
        yield (
            advanced(
                later(
                    QgsProcessingParameterFile(
                        "TEACHER", "Model that labels them", fileFilter=MODEL_FILES, optional=True
                    )
                )
            ),
            "Labels the scenes without labels instead of a first training: a model that is known "
            "to map such ground, of whatever architecture.",
        )

    def _network(self) -> Declaration:
        yield (
            asked(choices.Train.ARCHITECTURE),
            "Mask R-CNN for landslides as objects, all others for pixels; the compact U-Net is the "
            "fastest.",
        )
        yield (
            asked(choices.Train.BACKBONE),
            "Size or encoder of the architecture, such as gao2021 or light (a quarter of the "
            "time) of FC-DenseNet, resnet101 of Mask R-CNN, or any encoder of "
            "segmentation-models-pytorch for networks with one; empty for the first.",
        )
        yield (
            later(asked(choices.Train.PRETRAINED)),
            "Begin with weights learnt on photographs: fewer samples suffice. auto takes them "
            "where they are installed, as of tu-tf_efficientnet_lite0, an encoder of the smp "
            "architectures; imagenet downloads those of other encoders once.",
        )
        yield (
            advanced(
                later(
                    QgsProcessingParameterFile(
                        "WEIGHTS", "File with the encoder's weights", optional=True
                    )
                )
            ),
            "Begin with these instead: a safetensors file, or a .pth that holds tensors alone, of "
            "the backbone's encoder, or of torchvision's Mask R-CNN for ours.",
        )
        yield (
            advanced(later(asked(choices.Train.DECODER))),
            "Of U-Net with an encoder and U-Net++: channels of each of its five steps up, the "
            "coarsest first, such as 128, 64, 48, 32, 16 for a light one; empty for 256, 128, 64, "
            "32, 16.",
        )
        yield (
            advanced(later(asked(choices.Train.DROPOUT))),
            "Part of each layer's values that a step leaves out, so that samples are not learnt by "
            "heart; only FC-DenseNet has it. Empty: the backbone's own, 0.2 of gao2021.",
        )
        yield (
            advanced(later(asked(choices.Train.SCALES))),
            "Such as 1, 2, 4 for a network that reads an image as it is and averaged to a half and "
            "a quarter, for landslides of very different sizes: the compact U-Net, and networks "
            "with an encoder. It learns at the first, best with augmentation by views, and is "
            "measured at all. 0.5 enlarges the image to twice its size, for an encoder and "
            "landslides of a few pixels, at four times the work. Empty for the backbone's.",
        )
        yield (
            advanced(later(asked(choices.Train.TURNED))),
            "The network that comes of it answers for an image and its three quarter turns, and "
            "means the answers, at four times the work wherever it maps: more often right where "
            "its encoder began with ImageNet's weights. The compact U-Net, which gains little, and "
            "networks with an encoder.",
        )
        yield (
            advanced(
                QgsProcessingParameterFile(
                    "START_FROM", "Model to start from", fileFilter=MODEL_FILES, optional=True
                )
            ),
            "Train on from this model file, with its architecture, instead of anew. Its bands are "
            "found by name; others that are named below, such as slope, are learnt from nothing.",
        )

    def _course(self) -> Declaration:
        yield (
            asked(choices.Train.LOSS),
            "What training makes small; focal, dice, Tversky and Lovasz suit landslides that cover "
            "little of the area. Mask R-CNN has its own.",
        )
        yield (
            advanced(later(asked(choices.Train.ALPHA))),
            "Landslide weighs the rest of 1: Chen et al. 2022 give background, which abounds, "
            "0.25.",
        )
        yield (
            advanced(later(asked(choices.Train.GAMMA))),
            "The larger, the less count pixels that are nearly right; 0 for cross entropy.",
        )
        yield (
            advanced(later(asked(choices.Train.CLASS_WEIGHTS))),
            "In weighted cross entropy and in focal + dice, parted by a comma; Yang, S. et al. "
            "2022 let landslide count twice.",
        )
        yield (
            asked(choices.Train.EPOCHS),
            "How often training goes through all samples; 0 for as many as make 1500 steps of a "
            "batch each, and 10 at least.",
        )
        yield (
            asked(choices.Train.BATCH_SIZE),
            "Samples in one step. Where the memory does not suffice for them, a step takes them "
            "in parts.",
        )
        yield (
            asked(choices.Train.LEARNING_RATE),
            "Size of the largest steps.",
        )
        yield (
            advanced(later(asked(choices.Train.OPTIMIZER))),
            "How steps are made of gradients; AdamW also keeps the weights small.",
        )
        yield (
            advanced(later(asked(choices.Train.SCHEDULE))),
            "Course of the learning rate: up and down, only down, or constant.",
        )
        yield (
            advanced(later(asked(choices.Train.FROZEN_EPOCHS))),
            "At first only the rest of a pretrained network learns; then the encoder does too.",
        )
        yield (
            advanced(later(asked(choices.Train.ENCODER_RATE))),
            "An encoder that begins with learnt weights, pretrained, of a file or of the model to "
            "start from, learns at this share of the learning rate; a random one at all of it.",
        )
        yield (
            advanced(later(asked(choices.Train.PATIENCE))),
            "Training ends after so many epochs without a better one; 0 for never.",
        )
        yield (
            advanced(later(asked(choices.Train.AVERAGING))),
            "Decay of a running average of the weights, which is steadier than they are and is "
            "what is measured and kept; 0 for none.",
        )
        yield (
            later(asked(choices.Train.FOLDS)),
            "With 2 or more, the train and validation samples are shared out to so many parts; one "
            "network is trained for each part as validation, and the model averages them. It takes "
            "as many times longer, and the report shows the spread.",
        )
        yield (
            advanced(later(asked(choices.Train.BALANCED_VALIDATION))),
            "Epoch and threshold are chosen by the validation samples with landslide and at most "
            "as many without, spread evenly over all of these; where background abounds it would "
            "decide alone. The temperature is fitted to all of them, as probabilities are to mean "
            "what they say on samples like those of the training; test samples all count too.",
        )

    def _data(self) -> Declaration:
        yield (
            advanced(later(asked(choices.Train.AUGMENTATION))),
            "Random changes of the training samples. Bands such as aspect keep their values when a "
            "sample is turned, as its heights do, unless turn_directions turns them along. Light "
            "changes in imagery only: light of another scene is a sun, a stretch and a haze, of "
            "which bluer bands get more, for the whole sample; gain, brightness, contrast and "
            "colour are smaller changes, one by one. Edges of a scene let nodata hide a part of "
            "every fourth sample, as it does in a scene. Mean filter, gamma and noise each add a "
            "copy of every sample with landslide, so that landslides are less rare.",
        )
        yield (
            advanced(later(asked(choices.Train.VIEW_SCALES))),
            "With the augmentation view each tile, and each piece of a spliced one, shows so much "
            "of a sample's side, at any place of it; what lies beyond its edge is mirrored and not "
            "learnt. For samples of very different sizes, or with landslides always in the middle.",
        )
        yield (
            advanced(later(asked(choices.Train.LARGEST_SCALE))),
            "With the augmentation scale, tiles are enlarged and reduced by up to this factor; the "
            "larger it is, the more pixel sizes the model gets used to.",
        )
        yield (
            later(asked(choices.Train.ENHANCEMENT)),
            "Share of the training samples that get other backgrounds: spliced of four, or with a "
            "landslide pasted elsewhere.",
        )
        yield (
            advanced(later(asked(choices.Train.PASTED))),
            "Of the samples with other backgrounds, those that one landslide's box is pasted into "
            "(CutMix); the others are spliced. 0 splices all.",
        )
        yield (
            advanced(later(asked(choices.Train.PASSES))),
            "How often an epoch sees each sample with landslide; those without are seen once.",
        )
        yield (
            advanced(asked(choices.Train.TILE_SIZE)),
            "Part of each sample that a step sees; 0 for the samples' own size.",
        )
        yield (
            advanced(later(asked(choices.Train.RESOLUTION))),
            "Samples are averaged to pixels of this width, as for a first training on coarse ones "
            "that another starts from; 0 for their own.",
        )
        yield (
            advanced(asked(choices.Train.BANDS)),
            "Names of the bands to train on, separated by commas; empty for all, or for those of "
            "the model to start from.",
        )

    def _machine(self) -> Declaration:
        yield device(), DEVICE_HELP
        yield (
            advanced(asked(choices.Train.SEED)),
            "The same seed on the same machine gives the same model.",
        )
        yield (
            advanced(later(asked(choices.Train.RESUME))),
            "Go on from the checkpoint beside the model file, if samples and settings are the "
            "same; else begin anew.",
        )

    def _card(self) -> Declaration:
        yield (
            advanced(later(asked(choices.Train.NAME))),
            "How the model file names itself; empty for the file's name.",
        )
        yield (
            advanced(later(asked(choices.Train.LICENCE))),
            "Terms of the weights, such as CC-BY-4.0, for the model file.",
        )
        yield (
            advanced(later(asked(choices.Train.DATA))),
            "A sentence for the model file; empty for the sample folder's name.",
        )
        yield (
            advanced(later(asked(choices.Train.LIMITS))),
            "Sentences for the model file; Map landslides warns with them.",
        )
        yield (
            advanced(later(asked(choices.Train.SYNTHETIC))),
            "Map landslides then takes the model by itself for generated images alone.",
        )
        yield (
            advanced(later(asked(choices.Train.SCENE_LIGHT))),
            "For samples each of which was stretched by itself, so that their brightness says "
            "nothing: prediction brings each scene's 2nd and 98th percentiles to the samples'.",
        )
        yield (
            advanced(later(asked(choices.Train.HALF))),
            "A model file of half the size; predictions differ hardly at all.",
        )
