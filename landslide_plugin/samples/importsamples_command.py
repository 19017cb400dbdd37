"""The command that makes samples of tile files."""

from collections.abc import Sequence
from typing import Annotated, Any

from ..contract.choices import ImportSamples
from ..contract.errors import InputError
from ..core.progress import Progress
from ..core.provenance import NO_ORIGIN, Provenance
from ..outputs.whole import whole_folder
from .find_tiles import find_tiles
from .given_splits import Parts
from .image_list import ImageList
from .import_tiles import TileImport
from .sample_set import IMAGE_LABELS, PIXEL_LABELS, result_of
from .sample_writer import SampleWriter
from .splits import check_fractions


def importsamples(
    *,
    images: str = "",
    masks: str = "",
    without: str = "",
    output: str,
    bands: Annotated[Sequence[str], ImportSamples.BANDS] = ImportSamples.BANDS.default,
    resolution: Annotated[float, ImportSamples.RESOLUTION] = ImportSamples.RESOLUTION.default,
    limit: Annotated[int, ImportSamples.LIMIT] = ImportSamples.LIMIT.default,
    missing: Annotated[str, ImportSamples.MISSING] = ImportSamples.MISSING.default,
    instances: Annotated[bool, ImportSamples.INSTANCES] = ImportSamples.INSTANCES.default,
    split: Annotated[str, ImportSamples.SPLIT] = ImportSamples.SPLIT.default,
    split_list: str = "",
    gains: Annotated[bool, ImportSamples.GAINS] = ImportSamples.GAINS.default,
    margin: Annotated[int, ImportSamples.MARGIN] = ImportSamples.MARGIN.default,
    train_parts: Annotated[
        Sequence[str], ImportSamples.TRAIN_PARTS
    ] = ImportSamples.TRAIN_PARTS.default,
    validation_parts: Annotated[
        Sequence[str], ImportSamples.VALIDATION_PARTS
    ] = ImportSamples.VALIDATION_PARTS.default,
    test_parts: Annotated[
        Sequence[str], ImportSamples.TEST_PARTS
    ] = ImportSamples.TEST_PARTS.default,
    validation: Annotated[float, ImportSamples.VALIDATION] = ImportSamples.VALIDATION.default,
    test: Annotated[float, ImportSamples.TEST] = ImportSamples.TEST.default,
    seed: Annotated[int, ImportSamples.SEED] = ImportSamples.SEED.default,
    origin: Provenance = NO_ORIGIN,
    progress: Progress,
) -> dict[str, Any]:
    """Import plain image tiles, as public data sets come (Bijie, Landslide4Sense).

    With masks every pixel is labelled. Without, an image is as a whole: each of the one folder
    holds a landslide, none of the other does; `trainweak` learns from such. Images without
    landslide alone have all of their pixels labelled: `train` takes them as further samples.

    Args:
        images: folder of images, .png .jpg .tif .webp .npy .h5, of any size, in any folders.
            Empty where there are none but those without landslide.
        masks: folder of masks; it may be the same. See `pair_files` for the names that belong
            together, and `masks.MaskSurvey` for what of a mask is landslide. Empty for image
            labels.
        without: folder of images of which none holds a landslide; none when empty.
        output: folder to make.
        bands: names of the images' bands.
        resolution: pixel size in metres; 0 for that of the files, where they have one.
        limit: at most so many images, drawn from those with landslides first, without masks half
            of either kind; 0 for all.
        missing: what an image without a mask is: "background" (it holds no landslide), or
            "left_out".
        instances: whether each value of the masks is a landslide of its own, instead of each
            connected patch.
        split: "random" by image, spatial "blocks" where the images have a georeference, or as the
            data set gives it, by a "list" or by "folders" called train, validation and test.
        split_list: CSV file of images and parts; see `ImageList`. Further columns may say what each
            image's values are multiplied by, and in which row and column of a scene it lies.
        gains: whether to multiply, if the list says by what.
        margin: pixels of its neighbours that each image for training gets around itself, so that
            tiles are cut anywhere in a scene; of neighbours for training alone. 0 for none.
        train_parts: parts of the list, or folders, for training, such as 2, 3 and 4 of five folds;
            "others" stands for all that are not named. Those called train when empty.
        validation_parts: such for validation.
        test_parts: such for test.
        validation: share of validation images; of a given split without, of its train images.
        test: share of test images.
        seed: of the split and of the draw.
        origin: what the outputs tell of the run.
        progress: told counts and class balance.

    Returns:
        `output`, the counts `train`, `validation` and `test`, and `imbalance`.

    Raises:
        InputError: no images, no mask fits, sizes or bands differ, damaged files.
        OutputError: the folder isn't empty, or can't be written.
    """
    fractions = check_fractions(validation, test)
    if not bands or len(set(bands)) < len(bands):
        raise InputError(
            "No band names are given, or one is given twice: name the bands of the images in "
            "their order."
        )
    if not images and (masks or not without):
        raise InputError(
            "No images are given: choose their folder; only images without landslide (WITHOUT) "
            "may come alone."
        )
    if not masks and not without:
        raise InputError(
            "Neither masks nor images without landslide are given: choose the folder of masks, or "
            "for image labels the folder of images without landslide."
        )
    if (split == "list") != bool(split_list):
        raise InputError(
            'A list of images needs SPLIT "list", and that a list: give both, or neither.'
        )
    if margin and (split != "list" or instances or not masks):
        raise InputError(
            "MARGIN is for images with masks whose list (SPLIT_LIST) says where each lies in a "
            "scene, and not for masks that number the landslides: leave it at 0."
        )
    named = (train_parts, validation_parts, test_parts)
    if any(named) and split not in ("list", "folders"):
        raise InputError(
            'Parts are those of a list or of folders: choose SPLIT "list" or "folders", or name '
            "none."
        )
    with whole_folder(output) as folder:
        tiles = find_tiles(
            images, masks, without, list(bands), missing, limit, seed, instances, progress
        )
        work = TileImport(
            folders=[images, masks, without],
            resolution=resolution,
            instances=instances,
            split=split,
            split_list=ImageList.read(split_list) if split_list else None,
            gains=gains,
            margin=margin,
            parts=Parts(named),
            fractions=fractions,
            seed=seed,
        )
        labels = IMAGE_LABELS if images and not masks else PIXEL_LABELS
        writer = SampleWriter(folder, list(bands), labels, tags=origin.tags())
        result = work.run(tiles, writer, progress)
    progress.update(1)
    return result_of(output, result)
