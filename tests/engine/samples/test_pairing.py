"""Which mask belongs to which image: the names of public data sets."""

from pathlib import Path

import pytest
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.samples.pairing import pair_files


@pytest.fixture
def folder(tmp_path):
    """Return a function that makes empty files."""

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return make


def paired(root, images, masks):
    return {
        image.relative_to(root).as_posix(): mask and mask.relative_to(root).as_posix()
        for image, mask in pair_files(Path(root, images), Path(root, masks)).items()
    }


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("i/ls_0001.jpg", "m/ls_0001.png"),
        ("i/image_7.h5", "m/mask_7.h5"),
        ("i/img007.npy", "m/mask007.npy"),
        ("i/tile-3.TIF", "m/tile-3_mask.tif"),
        ("i/tile-3.tif", "m/tile-3_label.tif"),
        ("i/image/df1.png", "m/mask/df1.png"),
        ("i/north/deep/x.png", "m/x.png"),
        ("i/a/image.png", "m/a/mask.png"),
        ("i/scene.image.webp", "m/scene.gt.png"),
    ],
)
def test_names_that_belong_together(folder, image, mask):
    other = str(Path(image).with_name("zz_other.png"))
    root = folder(image, mask, other)
    assert paired(root, "i", "m") == {image: mask, other: None}


def test_links_to_folders_are_followed_and_lead_in_no_circle(folder):
    root = folder("disk/img/1.png", "disk/mask/1.png", "set/image_2.png", "set/mask_2.png")
    for name, target in (("img", "img"), ("mask", "mask"), ("zz_again", "img")):
        (root / "set" / name).symlink_to(root / "disk" / target)
    (root / "disk" / "img" / "back").symlink_to(root / "set")
    assert paired(root, "set", "set") == {
        "set/img/1.png": "set/mask/1.png",
        "set/image_2.png": "set/mask_2.png",
    }


def test_one_folder_with_both(folder):
    names = ("d/landslide/image/a1.png", "d/landslide/mask/a1.png", "d/none/image/a1.png")
    expected = {names[0]: names[1], names[2]: None}
    assert paired(folder(*names), "d", "d") == expected


def test_masks_within_the_folder_of_images(folder):
    root = folder("d/a.png", "d/b.png", "d/truth/a.png")
    assert paired(root, "d", "d/truth") == {"d/a.png": "d/truth/a.png", "d/b.png": None}


def test_the_same_name_in_two_folders(folder):
    names = [f"d/{area}/{kind}/1.png" for area in ("east", "west") for kind in ("images", "masks")]
    assert paired(folder(*names), "d", "d") == {names[0]: names[1], names[2]: names[3]}


def test_the_same_name_goes_before_a_similar_one(folder):
    root = folder("i/a.png", "m/a.png", "m/a_mask.png")
    assert paired(root, "i", "m") == {"i/a.png": "m/a.png"}


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (["i/a.png", "m/a_mask.png", "m/a_label.png"], "could have the mask"),
        (["i/a.png", "i/a.tif", "m/a.png"], "fits two images"),
        (["i/x/a.png", "i/y/a.png", "m/a.png"], "fits two images"),
        (["i/notes.txt", "m/a.png"], "holds no image"),
        (["i/a.png"], "folder of masks .* does not exist"),
    ],
)
def test_what_is_not_clear_is_refused(folder, names, match):
    root = folder(*names)
    with pytest.raises(InputError, match=match):
        paired(root, "i", "m")


def test_hidden_files_and_folders_are_no_images(tmp_path):
    """Such as a Mac and notebooks leave them."""
    for name in ("a.png", "._a.png", ".checkpoints/a.png"):
        for folder in ("images", "masks"):
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    pairs = pair_files(tmp_path / "images", tmp_path / "masks")
    assert pairs == {tmp_path / "images" / "a.png": tmp_path / "masks" / "a.png"}
