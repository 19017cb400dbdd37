"""Undeclared fill: what is told from data, and what is left alone."""

import json

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from landslide_mapper.landslide_plugin.contract.choices import shared
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.raster import Grid, Source, undeclared
from landslide_mapper.landslide_plugin.raster.fill import Fill
from landslide_mapper.landslide_plugin.raster.fill_json import from_json, to_json
from landslide_mapper.landslide_plugin.raster.pieces import PackedMask, Pieces, packed
from landslide_mapper.landslide_plugin.raster.undeclared import ELEVATION, IMAGE, mark_fill
from rasterio.transform import from_origin
from rasterio.windows import Window
from scipy import ndimage

RGB = ("blue", "green", "red")
STRIP = np.s_[:, :, :8]


def image(dtype="uint16", shape=(3, 60, 70), low=5, high=250):
    return np.random.default_rng(0).integers(low, high, shape).astype(dtype)


def look(path, **options):
    """Return validity as it is read, and what was warned of."""
    told = []
    with Source.open(path, need_crs=False) as source:
        mark_fill([source], options.pop("fill", "auto"), Progress(told.append), **options)
        return source.read()[1], [event["text"] for event in told if "text" in event]


def terrain(shape=(60, 70), low=200.0, high=900.0):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return (low + (high - low) * (rows + columns) / sum(shape)).astype(np.float32)


class TestBlackAndWhite:
    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
    def test_a_black_strip_along_the_border_is_nodata_in_all_bands(self, make_raster, dtype):
        array = image(dtype)
        array[STRIP] = 0
        valid, told = look(make_raster("a.tif", array, bands=RGB))
        assert not valid[STRIP].any() and valid[:, :, 8:].all()
        (sentence,) = told
        assert "0 in all bands on 11 % of the pixels" in sentence and "FILL = keep" in sentence
        assert "Undeclared fill: Kept as values" in sentence

    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    def test_so_is_a_white_one(self, make_raster, dtype):
        array = image(dtype)
        array[STRIP] = np.iinfo(dtype).max
        valid, told = look(make_raster("a.tif", array, bands=RGB))
        assert not valid[STRIP].any() and valid[:, :, 8:].all() and len(told) == 1

    def test_one_row_is_enough(self, make_raster):
        array = image()
        array[:, -1] = 0
        assert look(make_raster("a.tif", array, bands=RGB))[0].sum() == 3 * 59 * 70

    def test_corners_of_a_rotated_scene(self, make_raster):
        array = image()
        rows, columns = np.mgrid[:60, :70]
        outside = (rows + 0.3 * columns < 18) | (rows - 0.3 * columns > 40)
        array[:, outside] = 0
        valid, _ = look(make_raster("a.tif", array, bands=RGB))
        np.testing.assert_array_equal(valid, np.broadcast_to(~outside, valid.shape))

    def test_shadow_within_stays_though_the_border_is_black(self, make_raster):
        array = image("uint8")
        array[STRIP] = 0
        array[:, 20:23, 30:33] = 0
        array[:, 40, 50] = 0
        valid, _ = look(make_raster("a.tif", array, bands=RGB))
        assert valid[:, :, 8:].all()

    def test_a_dark_lake_within_8_bits_stays(self, make_raster):
        array = image("uint8")
        array[:, 10:50, 10:50] = 0
        assert look(make_raster("a.tif", array, bands=RGB)) == (
            pytest.approx(np.ones((3, 60, 70))),
            [],
        )

    def test_a_hole_of_a_mosaic_in_16_bits_is_nodata(self, make_raster):
        array = image()
        array[:, 10:50, 10:50] = 0
        assert (~look(make_raster("a.tif", array, bands=RGB))[0]).sum() == 3 * 1600

    def test_a_narrow_gap_from_border_to_border(self, make_raster):
        array = image("uint8")
        array[:, :, 30:35] = 0
        assert (~look(make_raster("a.tif", array, bands=RGB))[0]).sum() == 3 * 60 * 5

    def test_night_stays(self, make_raster):
        """Most is 0, what is around it nearly, and few lights."""
        rng = np.random.default_rng(4)
        array = rng.poisson(0.1, (3, 60, 70)).clip(0, 255).astype("uint8")
        array[:, rng.random((60, 70)) < 0.02] = 200
        assert (array == 0).all(axis=0).mean() > 0.6
        valid, told = look(make_raster("a.tif", array, bands=RGB))
        assert valid.all() and not told

    def test_a_dark_sea_that_reaches_the_border_stays(self, make_raster):
        """It is 0 offshore and shades off, and the black strip beside it is told from it."""
        rows, columns = np.mgrid[:60, :70]
        array = (np.hypot(rows - 30, columns) / 5).astype("uint8")[None].repeat(3, 0)
        array[:, :, 60:] = 0
        valid, _ = look(make_raster("a.tif", array, bands=RGB))
        assert valid[:, :, :60].all() and not valid[:, :, 60:].any()

    def test_black_in_one_band_alone_is_a_value(self, make_raster):
        array = image()
        array[0][STRIP[1:]] = 0
        valid, told = look(make_raster("a.tif", array, bands=RGB))
        assert valid.all() and not told

    def test_saturated_clouds_stay(self, make_raster):
        """They touch the border, and shade off."""
        rows, columns = np.mgrid[:60, :70]
        bright = np.clip(1400 - 20 * np.hypot(rows, columns - 30), 0, 1)
        cloud = np.clip(1.6 - np.hypot(rows, columns - 30) / 30, 0.1, 1) * bright
        array = np.round(cloud * 65535).astype("uint16")[None].repeat(3, 0)
        assert (array == 65535).all(0)[0].sum() > 30
        valid, told = look(make_raster("a.tif", array, bands=RGB))
        assert valid.all() and not told

    @pytest.mark.parametrize(("dtype", "value"), [("uint8", 255), ("uint16", 65535), ("uint16", 0)])
    def test_speckle_stays(self, make_raster, dtype, value):
        array = image(dtype)
        array[:, np.random.default_rng(1).random((60, 70)) < 0.02] = value
        valid, told = look(make_raster("a.tif", array, bands=RGB))
        assert valid.all() and not told

    def test_pictures_compressed_with_losses_have_nearly_black_borders(self, tmp_path):
        smooth = ndimage.gaussian_filter(image("uint8", low=90), (0, 2, 2))
        smooth[:, :, :24] = 0
        path = tmp_path / "a.jpg"
        with rasterio.open(path, "w", "JPEG", 70, 60, 3, dtype="uint8", quality=90) as dataset:
            dataset.write(smooth)
        valid, told = look(path)
        assert (~valid[:, :, :22]).mean() > 0.97 and valid[:, :, 26:].all() and len(told) == 1

    def test_one_band_of_a_scene_in_a_file_of_its_own(self, make_raster):
        array = image(shape=(1, 60, 70))
        array[STRIP] = 0
        path = make_raster("LC08_L1TP_195025_20200101_20200113_01_T1_B4.tif", array)
        assert (~look(path)[0]).sum() == 480


class TestOtherZeros:
    @pytest.mark.parametrize(
        "bands", [["river_distance"], ["ndvi"], ["band_1"], ["vv"], ["landslide"], ["elevation"]]
    )
    @pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
    def test_zero_along_the_border_of_a_layer_that_is_no_image(self, make_raster, bands, dtype):
        array = image(dtype, (1, 60, 70), high=100)
        array[STRIP] = 0
        valid, told = look(make_raster("a.tif", array, bands=bands))
        assert valid.all() and not told

    def test_masks_of_several_bands(self, make_raster):
        array = image("uint8", low=0, high=2)
        array[STRIP] = 0
        assert look(make_raster("a.tif", array, bands=("band_1", "band_2", "band_3")))[0].all()

    def test_factors_of_several_bands(self, make_raster):
        array = image("int16")
        array[STRIP] = 0
        assert look(make_raster("a.tif", array, bands=("slope", "ndvi", "twi")))[0].all()

    def test_the_sea(self, make_raster):
        dem = terrain(low=-300)
        dem[dem < 0] = 0
        assert look(make_raster("a.tif", dem), kind=ELEVATION)[0].all()


class TestElevations:
    @pytest.mark.parametrize("void", [-32768, -9999, -999, 9999, 32767, -1e6])
    @pytest.mark.parametrize("dtype", ["int32", "float32"])
    def test_a_single_void_is_nodata(self, make_raster, void, dtype):
        dem = terrain().astype(dtype)
        dem[30, 40] = void
        valid, (sentence,) = look(make_raster("a.tif", dem), kind=ELEVATION)
        assert not valid[0, 30, 40] and valid.sum() == dem.size - 1
        assert "elevations below -500 or above 9000 on 0.024 % of the pixels" in sentence

    @pytest.mark.parametrize("dtype", ["int16", "float32"])
    def test_zeros_around_high_ground_are_no_sea(self, make_raster, dtype):
        """As warping leaves them at the border of a DEM that declares no nodata."""
        dem = terrain().astype(dtype)
        dem[STRIP[1:]] = 0
        valid, (sentence,) = look(make_raster("a.tif", dem), kind=ELEVATION)
        assert not valid[STRIP].any() and valid[:, :, 8:].all()
        assert "0 on 11 % of the pixels" in sentence

    @pytest.mark.parametrize("land", [0, 3, 40])
    def test_the_sea_around_an_island_stays(self, make_raster, land):
        """An island of few pixels, of which a tenth is a shore."""
        dem = np.zeros((60, 70), np.float32)
        dem[:land, 0] = np.linspace(20, 900, land)
        assert look(make_raster("a.tif", dem), kind=ELEVATION)[0].all()

    def test_a_plain_around_a_steep_rock_stays(self, make_raster):
        dem = np.zeros((60, 70), np.float32)
        dem[30, 40] = 1000
        assert look(make_raster("a.tif", dem), kind=ELEVATION)[0].all()

    def test_beside_declared_nodata(self, make_raster):
        dem = terrain()
        dem[:5], dem[30, 40] = -9999, -32768
        valid, (sentence,) = look(make_raster("a.tif", dem, nodata=-9999), kind=ELEVATION)
        assert (~valid).sum() == 5 * 70 + 1 and "0.024 %" in sentence

    @pytest.mark.parametrize(
        ("low", "high"), [(-430, 800), (-5000, 900), (-9000, -100), (-8200, 21_000), (3000, 8848)]
    )
    def test_depressions_sea_floors_and_mars_are_data(self, make_raster, low, high):
        valid, told = look(make_raster("a.tif", terrain(low=low, high=high)), kind=ELEVATION)
        assert valid.all() and not told

    def test_voids_in_a_sea_floor(self, make_raster):
        dem = terrain(low=-5000, high=900)
        dem[30:34, 40] = -32768
        valid, told = look(make_raster("a.tif", dem), kind=ELEVATION)
        assert (~valid).sum() == 4 and len(told) == 1

    def test_what_resampling_mixed_from_voids_and_ground(self, make_raster):
        dem = terrain((200, 200))
        dem[100:104, 50] = np.linspace(-32000, -800, 4)
        assert (~look(make_raster("a.tif", dem), kind=ELEVATION)[0]).sum() == 4

    def test_feet(self, make_raster):
        dem = terrain(low=8000, high=29_029)
        dem[3, 3] = -32767
        path = make_raster("a.tif", dem)
        assert (~look(path, kind=ELEVATION, metre=3.28084)[0]).sum() == 1

    def test_centimetres_are_not_cut(self, make_raster):
        valid, told = look(make_raster("a.tif", 100 * terrain(low=20)), kind=ELEVATION)
        assert valid.all() and not told

    def test_a_sea_of_voids_larger_than_the_land(self, make_raster):
        dem = terrain()
        dem[:45] = -9999
        assert (~look(make_raster("a.tif", dem), kind=ELEVATION)[0]).sum() == 45 * 70

    def test_declared_scale(self, make_raster):
        """Stored decimetres, of which 0 is 100 m below the sea."""
        dem = np.round(10 * (terrain() + 100)).astype("int16")
        dem[3, 3] = -32768
        path = make_raster("a.tif", dem)
        with rasterio.open(path, "r+") as dataset:
            dataset.scales, dataset.offsets = (0.1,), (-100,)
        assert (~look(path, kind=ELEVATION)[0]).sum() == 1

    def test_a_band_called_elevation_is_known(self, make_raster):
        stack = np.stack([terrain(), terrain()])
        stack[:, 3, 3] = 12_000
        valid, _ = look(make_raster("a.tif", stack, bands=("elevation", "twi")))
        assert not valid[0, 3, 3] and valid[1, 3, 3]


class TestVoids:
    @pytest.mark.parametrize("void", [-9999, -32768, -99999, 65535, 1e20])
    def test_a_value_far_from_all_others_is_nodata_in_its_band(self, make_raster, void):
        stack = np.random.default_rng(2).normal(0, 1, (2, 60, 70)).astype(np.float32)
        stack[1, :9] = void
        valid, (sentence,) = look(make_raster("a.tif", stack, bands=("ndvi", "slope")))
        assert valid[0].all() and not valid[1, :9].any() and valid[1, 9:].all()
        assert f"{void:g} on 15 % of the pixels" in sentence

    def test_among_others_it_is_data(self, make_raster):
        deep = terrain(low=-15_000, high=100)
        deep[3, 3] = -9999
        valid, told = look(make_raster("a.tif", deep, bands=("gravity",)))
        assert valid.all() and not told

    def test_classes_are_left_alone(self, make_raster):
        path = make_raster("a.tif", np.where(terrain() > 400, 5, -9999).astype("int16"))
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(1, class_5="marl")
        assert look(path)[0].all()

    def test_the_end_of_16_bits_counts_where_it_lies_together(self, make_raster):
        distance = image("uint16", (60, 70))
        distance[5, 5] = 65535
        path = make_raster("a.tif", distance, bands=("road_distance",))
        assert look(path)[0].all()
        distance[20:50, 20:50] = 65535
        path = make_raster("b.tif", distance, bands=("road_distance",))
        assert (~look(path)[0]).sum() == 900


class TestWherever:
    def test_keep_takes_values_as_they_are(self, make_raster):
        dem = terrain()
        dem[3, 3] = -32768
        valid, told = look(make_raster("a.tif", dem), kind=ELEVATION, fill="keep")
        assert valid.all() and not told

    def test_another_word_is_refused(self):
        assert shared.FILL.problem("drop") == "choose one of auto, keep"

    def test_statistics_in_the_file_are_not_asked(self, make_raster):
        dem = terrain()
        dem[3, 3] = -32768
        path = make_raster("a.tif", dem)
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(1, STATISTICS_MINIMUM="200", STATISTICS_MAXIMUM="900")
        assert len(look(path, kind=ELEVATION)[1]) == 1

    def test_on_another_grid_too(self, make_raster):
        array = image("float32")
        array[STRIP] = 0
        grid = Grid("EPSG:32632", from_origin(500000, 5000000, 20, 20), 35, 30)
        with Source.open(make_raster("a.tif", array, bands=RGB)) as source:
            mark_fill([source], "auto", Progress())
            values, valid = source.on(grid, "average").read()
        assert not valid[:, :, :4].any() and valid[:, :, 4:].all() and values[valid].min() > 5

    def test_what_was_found_is_the_same_after_it_was_written_as_json(self, make_raster):
        array = image("int16", (5, 60, 70))
        array[STRIP], array[3] = 0, terrain()
        array[3, :9, :9], array[4, 20:, :9] = -32768, -9999
        with Source.open(make_raster("a.tif", array, bands=[*RGB, "elevation", "rain"])) as source:
            mark_fill([source], "auto", Progress())
            fill = source.fill
        assert fill and fill.voids and fill.limits and fill.collars
        assert from_json(json.loads(json.dumps(to_json(fill)))) == fill
        assert from_json(to_json(Fill())) is from_json(to_json(None)) is None

    @pytest.mark.parametrize("rows", [7, 60])
    def test_the_search_tells_how_far_it_is_and_ends_where_it_is_to(
        self, make_raster, monkeypatch, rows
    ):
        array = image()
        array[STRIP] = 0
        monkeypatch.setattr(Grid, "rows_within", lambda *_: rows)
        with Source.open(make_raster("a.tif", array, bands=RGB)) as source:
            events = []
            mark_fill([source, source], "auto", Progress(events.append))
            percents = [event["percent"] for event in events if event["type"] == "progress"]
            assert len(percents) == 2 * -(-60 // rows) and percents[-1] == 100
            assert percents == sorted(percents) and 50.0 in percents

            def cancel(event):
                raise SystemExit

            with pytest.raises(SystemExit):
                mark_fill([source], "auto", Progress(cancel))

    def test_windows_and_single_pixels_agree_with_the_whole(self, make_raster):
        array = image("uint8")
        array[STRIP] = 0
        with Source.open(make_raster("a.tif", array, bands=RGB)) as source:
            mark_fill([source], "auto", Progress())
            whole = source.read()[1]
            window = Window(5, 50, 20, 20)
            np.testing.assert_array_equal(source.read(window)[1][:, :10], whole[:, 50:, 5:25])
            pixels = np.array([0, 3, 25, 199])
            chosen = source.read_some(
                Window(5, 50, 20, 10), ["red"], lambda all_: all_.reshape(1, -1)[:, pixels]
            )[1][0]
        np.testing.assert_array_equal(chosen, whole[2, 50:, 5:25].ravel()[pixels])

    @pytest.mark.parametrize("megabytes", [64, 1e-6])
    def test_it_does_not_matter_how_much_is_read_at_once(self, make_raster, monkeypatch, megabytes):
        monkeypatch.setattr(undeclared, "_MEGABYTES", megabytes)
        array = image(shape=(3, 600, 30))
        rows, columns = np.mgrid[:600, :30]
        array[:, columns < 10 + 5 * np.sin(rows / 20)] = 0
        black = (array == 0).all(axis=0)
        valid, _ = look(make_raster("a.tif", array, bands=RGB))
        np.testing.assert_array_equal(valid, np.broadcast_to(~black, valid.shape))

    def test_images_by_their_role(self, make_raster):
        array = image(shape=(1, 60, 70))
        array[STRIP] = 0
        path = make_raster("a.tif", array)
        assert look(path)[0].all()
        assert (~look(path, kind=IMAGE)[0]).sum() == 480


class TestPieces:
    @settings(max_examples=60)
    @given(
        seed=st.integers(0, 10**6), rows=st.integers(1, 40), share=st.floats(0.05, 0.7),
        run=st.integers(1, 6), area=st.integers(1, 60), inside=st.booleans(),
    )  # fmt: skip
    def test_as_scipy_labels_the_whole(self, seed, rows, share, run, area, inside):
        mask = np.random.default_rng(seed).random((37, 23)) < share
        pieces = Pieces(Window(4, 3, 23, 37), rows)
        for top in range(0, 37, rows):
            pieces.add(mask[top : top + rows], np.zeros_like(mask[top : top + rows]))
        chosen, count = pieces.chosen(run, area, inside)
        labels, _ = ndimage.label(mask, np.ones((3, 3)))
        good = set()
        for line in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
            for start in range(len(line) - run + 1):
                if (line[start : start + run] > 0).all():
                    good.add(line[start])
        sizes = np.bincount(labels.ravel())
        touching = {*labels[0], *labels[-1], *labels[:, 0], *labels[:, -1]}
        good |= {n for n in range(1, len(sizes)) if sizes[n] >= area and (inside or n in touching)}
        expected = np.isin(labels, sorted(good))
        np.testing.assert_array_equal(chosen.read(Window(4, 3, 23, 37)), expected)
        assert count == expected.sum()

    @settings(max_examples=60)
    @given(
        left=st.integers(-5, 30), top=st.integers(-5, 40), width=st.integers(1, 30),
        height=st.integers(1, 40),
    )  # fmt: skip
    def test_a_packed_mask_gives_any_window(self, left, top, width, height):
        mask = np.random.default_rng(0).random((20, 15)) < 0.5
        kept = PackedMask(
            Window(3, 7, 15, 20), 8, tuple(packed(mask[n : n + 8]) for n in (0, 8, 16))
        )
        whole = np.zeros((90, 90), bool)
        whole[17:37, 13:28] = mask  # shifted by 10
        read = kept.read(Window(left, top, width, height))
        expected = whole[top + 10 : top + 10 + height, left + 10 : left + 10 + width]
        np.testing.assert_array_equal(read, expected)


class TestRealData:
    def test_no_true_pixel_of_the_sets_at_hand_is_lost(self, data_dir):
        """Of 2533 images of Bijie 16 have black borders, all seen with the eye."""
        files = [
            *(data_dir / "emilia_s2").glob("s2_*.tif"),
            *(data_dir / "iburi_s2").glob("*.tif"),
            *(data_dir / "samples").rglob("*.[tT][iI][fF]"),
            *sorted((data_dir / "mars_mmls" / "images").glob("*.tif"))[:20],
            *sorted((data_dir / "bijie" / "images").glob("nls_0*.jpg"))[:100],
        ]
        for path in files:
            assert look(path)[1] == []

    def test_black_borders_of_real_pictures(self, data_dir):
        for name, fraction in (("ls_0589", 0.105), ("nls_2002", 0.603), ("ls_0410", 0.0099)):
            valid, told = look(data_dir / "bijie" / "images" / f"{name}.jpg")
            assert (~valid).mean() == pytest.approx(fraction, rel=0.02) and len(told) == 1
