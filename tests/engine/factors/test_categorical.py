"""Classes on a grid, from polygons and from class rasters, with their names."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from landslide_mapper.landslide_plugin.contract.errors import GridError, InputError
from landslide_mapper.landslide_plugin.core.progress import Progress
from landslide_mapper.landslide_plugin.factors.categorical import encode
from landslide_mapper.landslide_plugin.factors.classes_command import classes
from landslide_mapper.landslide_plugin.factors.stack_command import stack
from landslide_mapper.landslide_plugin.raster import Source
from rasterio.transform import from_origin
from shapely import MultiPolygon, Polygon, box

LEFT, TOP = 500000, 5000000

# Columns of raster attribute tables: name, type (0 whole number, 2 text), usage, cells.
RAT_VALUE = [("Code", 0, 5, [1, 2, 3])]
RAT_PLAIN_VALUE = [("Value", 0, 0, [1, 2, 3])]
RAT_COUNT = [("Count", 0, 1, [300, 300, 300])]
RAT_NAME = [("Rock", 2, 2, ["gneiss", "", "shale"])]
RAT_TEXT = [("Rock", 2, 0, ["gneiss", "", "shale"])]


@pytest.fixture
def reference(make_raster):
    return make_raster("reference.tif", np.ones((30, 30), np.float32))


@pytest.fixture
def geology(tmp_path):
    def make(values, shapes=None, name="geology.gpkg", crs=32632):
        shapes = shapes or [
            box(LEFT, TOP - 100, LEFT + 100, TOP),
            box(LEFT + 100, TOP - 100, LEFT + 200, TOP),
            box(LEFT, TOP - 200, LEFT + 100, TOP - 100),
        ]
        path = tmp_path / name
        gpd.GeoDataFrame({"unit": values}, geometry=shapes, crs=crs).to_file(path)
        return str(path)

    return make


@pytest.fixture
def run(tmp_path, reference):
    def call(layer, field="unit", events=None, **parameters):
        output = tmp_path / "classes.tif"
        sink = events.append if events is not None else None
        result = classes(
            input=layer,
            field=field,
            reference=reference,
            output=str(output),
            progress=Progress(sink),
            **parameters,
        )
        with rasterio.open(output) as dataset:
            assert dataset.dtypes == ("int16",) and dataset.nodata == -32768
            values = dataset.read(1)
        with Source.open(output) as source:
            return values, source.class_names(source.bands[0]), result

    return call


class TestEncode:
    @pytest.mark.parametrize("blank", ["", "\n"])
    def test_text_gets_codes_in_sorted_order_whatever_blanks_are_around_it(self, blank):
        codes, names = encode(pd.Series([f"shale{blank} ", "gneiss", f"shale{blank}"]), "unit")
        assert codes.tolist() == [2, 1, 2] and names == {1: "gneiss", 2: "shale"}

    def test_capitals_and_blanks_within_do_not_make_a_class_either(self):
        """Else they would be bands lithology_old_shale and lithology_old_shale_2 of a stack."""
        events = []
        names = pd.Series(["old shale", "Old  Shale", "gneiss"])
        codes, names = encode(names, "unit", Progress(events.append))
        assert codes.tolist() == [1, 1, 2] and names == {1: "Old Shale", 2: "gneiss"}
        text = "Old Shale, old shale differ in capitals alone: one class."
        assert [event["text"] for event in events] == [text]

    @pytest.mark.parametrize("dtype", ["int64", "float64"])
    def test_large_whole_numbers_are_called_alike_whether_a_null_made_them_decimal_or_not(
        self, dtype
    ):
        _, names = encode(pd.Series([70001, 7, 70001], dtype=dtype), "unit")
        assert names == {1: "7", 2: "70001"}

    @pytest.mark.parametrize("dtype", ["int16", "int64", "float64"])
    def test_whole_numbers_keep_their_value(self, dtype):
        codes, names = encode(pd.Series([30, -2, 30], dtype=dtype), "unit")
        assert codes.tolist() == [30, -2, 30] and names == {-2: "-2", 30: "30"}

    @pytest.mark.parametrize("values", [[1.5, 2.0], [70000, 5], [-32768, 5]])
    def test_other_numbers_get_codes(self, values):
        codes, names = encode(pd.Series(values), "unit")
        assert codes.tolist() == [sorted(values).index(value) + 1 for value in values]
        assert names == {i: str(value) for i, value in enumerate(sorted(values), start=1)}

    def test_too_many_values_are_no_classes(self):
        with pytest.raises(InputError, match="unit has 1001 different values"):
            encode(pd.Series(np.arange(1001)), "unit")


class TestPolygons:
    def test_codes_names_and_nodata_outside(self, run, geology):
        values, names, result = run(geology(["shale", "gneiss", "shale"]))
        assert (values[:10, :10] == 2).all() and (values[:10, 10:20] == 1).all()
        assert (values[10:20, :10] == 2).all()
        assert (values[20:] == -32768).all() and (values[10:, 10:] == -32768).all()
        assert names == {1: "gneiss", 2: "shale"}
        assert result["classes"] == {"1": "gneiss", "2": "shale"}

    def test_of_overlapping_polygons_the_last_counts(self, run, geology):
        square = box(LEFT, TOP - 100, LEFT + 100, TOP)
        values, _, _ = run(geology([5, 7], [square, square]))
        assert (values[:10, :10] == 7).all()

    def test_another_crs(self, run, geology, tmp_path):
        frame = gpd.read_file(geology([1, 2, 3])).to_crs(4326)
        frame.to_file(tmp_path / "degrees.gpkg")
        values, _, _ = run(str(tmp_path / "degrees.gpkg"))
        assert (values[1:9, 1:9] == 1).all() and (values[1:9, 11:19] == 2).all()

    def test_invalid_polygons_are_repaired_with_a_warning(self, run, geology):
        bow_tie = Polygon([(LEFT, TOP), (LEFT + 100, TOP - 100), (LEFT + 100, TOP),
                           (LEFT, TOP - 100)])  # fmt: skip
        events = []
        values, _, _ = run(geology([4], [bow_tie]), events=events)
        assert (values == 4).sum() == pytest.approx(50, abs=10)
        assert any("1 invalid" in event.get("text", "") for event in events)

    @pytest.mark.parametrize(
        ("units", "count"), [(["shale", None, "shale"], 1), (["shale", "", " "], 2)]
    )
    def test_polygons_without_a_value_or_with_a_blank_one_are_left_out_with_a_warning(
        self, run, geology, units, count
    ):
        events = []
        values, names, _ = run(geology(units), events=events)
        assert (values[:10, 10:20] == -32768).all() and names == {1: "shale"}
        assert any(f"{count} polygons have no unit" in event.get("text", "") for event in events)

    def test_lists_are_no_classes(self, run, geology, tmp_path):
        frame = gpd.read_file(geology([1, 2, 3]))
        frame["unit"] = [["a", "b"]] * 3
        (tmp_path / "lists.geojson").write_text(frame.to_json())
        with pytest.raises(InputError, match="The field unit holds lists"):
            run(str(tmp_path / "lists.geojson"))

    def test_names_of_one_band_are_told(self, run, geology):
        events = []
        run(geology(["K+", "K-", "Tr"]), events=events, name="age")
        (text,) = [event["text"] for event in events if event["type"] == "warning"]
        assert text.startswith("The classes K+, K- would all have the band age_k ")

    def test_multipolygons(self, run, geology):
        both = MultiPolygon([box(LEFT, TOP - 10, LEFT + 10, TOP),
                             box(LEFT + 290, TOP - 300, LEFT + 300, TOP - 290)])  # fmt: skip
        values, _, _ = run(geology([9], [both]))
        assert values[0, 0] == values[-1, -1] == 9 and (values == 9).sum() == 2

    def test_a_layer_of_several(self, run, geology):
        assert run(geology(["a", "b", "c"]) + "|layername=geology")[1] == {1: "a", 2: "b", 3: "c"}


class TestRaster:
    def test_values_and_names_are_kept_on_another_grid(self, run, make_raster):
        fine = np.kron(np.array([[3, 8], [8, 3]]), np.ones((30, 30))).astype(np.int16)
        path = make_raster("c.tif", fine, transform=from_origin(LEFT, TOP, 5, 5), nodata=-1)
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(1, class_3="granite")
        values, names, _ = run(path, field="")
        assert (values[:15, :15] == 3).all() and (values[:15, 15:] == 8).all()
        assert names == {3: "granite", 8: "8"}

    def test_of_several_bands_the_first_is_taken_which_is_told(self, run, make_raster):
        first, events = np.tile([[4], [7]], (15, 30)).astype(np.uint8), []
        codes, _, _ = run(make_raster("c.tif", np.stack([first, first + 1])), "", events)
        assert np.array_equal(codes, first)
        assert [event["text"] for event in events if event["type"] == "warning"] == [
            "The class raster has 2 bands: the first one is taken."
        ]

    def test_category_names_of_gdal(self, run, make_raster, tmp_path):
        path = make_raster("c.tif", np.tile([[0], [1], [2]], (10, 30)).astype(np.uint8))
        (tmp_path / "c.tif.aux.xml").write_text(
            "<PAMDataset><PAMRasterBand band='1'><CategoryNames><Category>none</Category>"
            "<Category>gneiss</Category><Category>shale</Category></CategoryNames>"
            "</PAMRasterBand></PAMDataset>"
        )
        with Source.open(path) as source:
            assert source.all_class_names("band_1") == {0: "none", 1: "gneiss", 2: "shale"}
        assert run(path, field="")[1] == {0: "none", 1: "gneiss", 2: "shale"}

    def test_values_of_one_name_are_one_class_whatever_its_capitals_and_blanks(
        self, run, make_raster, tmp_path
    ):
        """As in a raster of polygons' numbers, whose table has the rock of each."""
        path = make_raster("c.tif", np.tile([[1], [2], [3], [4], [5]], (6, 30)).astype(np.uint8))
        with rasterio.open(path, "r+") as raster:
            names = {1: "Old shale", 2: "gneiss", 3: "old  Shale ", 4: "gneiss", 5: " "}
            raster.update_tags(1, **{f"class_{value}": name for value, name in names.items()})
        events = []
        values, classes, _ = run(path, field="", events=events)
        assert classes == {1: "Old shale", 2: "gneiss", 5: "5"}
        assert values[:5, 0].tolist() == [1, 2, 1, 2, 5]
        texts = [event["text"] for event in events if event["type"] == "warning"]
        assert texts == ["Old shale, old Shale differ in capitals alone: one class."]

    @pytest.mark.parametrize(
        ("columns", "expected"),
        [
            (RAT_VALUE + RAT_NAME, {1: "gneiss", 2: "2", 3: "shale"}),
            (RAT_NAME + RAT_VALUE, {1: "gneiss", 2: "2", 3: "shale"}),
            (RAT_PLAIN_VALUE + RAT_TEXT, {1: "gneiss", 2: "2", 3: "shale"}),
            (RAT_COUNT + RAT_NAME, {1: "1", 2: "shale", 3: "3"}),  # rows are values from 0
            (RAT_VALUE + RAT_COUNT, {1: "1", 2: "2", 3: "3"}),  # no names in it
        ],
    )
    def test_a_raster_attribute_table(self, run, make_raster, tmp_path, columns, expected):
        path = make_raster("c.tif", np.tile([[1], [2], [3]], (10, 30)).astype(np.uint8))
        definitions = "".join(
            f"<FieldDefn index='{i}'><Name>{name}</Name><Type>{kind}</Type><Usage>{usage}</Usage>"
            "</FieldDefn>"
            for i, (name, kind, usage, _) in enumerate(columns)
        )
        rows = "".join(
            f"<Row index='{row}'>{''.join(f'<F>{cells[row]}</F>' for *_, cells in columns)}</Row>"
            for row in range(3)
        )
        (tmp_path / "c.tif.aux.xml").write_text(
            "<PAMDataset><PAMRasterBand band='1'><GDALRasterAttributeTable tableType='thematic'>"
            f"{definitions}{rows}</GDALRasterAttributeTable></PAMRasterBand></PAMDataset>"
        )
        assert run(path, field="")[1] == expected

    @pytest.mark.parametrize("bad", [0.5, 2**24 + 2, -32768])
    def test_values_that_are_no_codes(self, run, make_raster, tmp_path, bad):
        array = np.ones((30, 30), np.float32)
        array[4, 4] = bad
        with pytest.raises(InputError, match="no class codes"):
            run(make_raster("c.tif", array), field="")
        assert not (tmp_path / "classes.tif").exists()

    def test_values_beyond_int16_get_codes_in_their_order(self, run, make_raster):
        """As ids of soil or geological units are."""
        array = np.full((30, 30), 1_234_567, np.int32)
        array[:10], array[10:20] = -5, 40_000
        codes, names, _ = run(make_raster("c.tif", array, nodata=-5), field="")
        assert names == {1: "40000", 2: "1234567"}
        assert codes[15, 5] == 1 and codes[25, 5] == 2

    def test_a_dem_is_no_class_raster(self, run, make_raster, reference):
        array = np.arange(900, dtype=np.int16).reshape(30, 30)
        wide = np.concatenate([array, array + 900], axis=1)
        half = from_origin(LEFT, TOP, 5, 10)
        with pytest.raises(InputError, match="more than 1000 different values"):
            classes(
                input=make_raster("c.tif", wide, transform=half),
                reference=make_raster("r.tif", wide, transform=half),
                output=reference + ".out.tif",
                progress=Progress(),
            )

    def test_real_geology(self, data_dir, tmp_path):
        folder = data_dir / "kashmir"
        output = tmp_path / "geology.tif"
        classes(
            input=str(folder / "Geology.tif"),
            reference=str(folder / "AW3D30.tif"),
            output=str(output),
            progress=Progress(),
        )
        with rasterio.open(folder / "Geology.tif") as before, rasterio.open(output) as after:
            old, new = before.read(1, masked=True), after.read(1, masked=True)
        assert np.array_equal(old.mask, new.mask) and np.array_equal(old.filled(0), new.filled(0))


class TestBadInput:
    def test_missing_layer(self, run):
        with pytest.raises(InputError, match=r"class layer nowhere\.gpkg does not exist"):
            run("nowhere.gpkg")

    def test_neither_raster_nor_vector(self, run, tmp_path):
        (tmp_path / "text.gpkg").write_text("text")
        with pytest.raises(InputError, match="can't be read"):
            run(str(tmp_path / "text.gpkg"))

    def test_no_such_field(self, run, geology):
        with pytest.raises(InputError, match="no field lithology; it has: unit"):
            run(geology([1, 2, 3]), field="lithology")

    def test_no_field_given(self, run, geology):
        with pytest.raises(InputError, match=r"Choose the field of .* the classes: unit."):
            run(geology([1, 2, 3]), field="")

    def test_empty_field(self, run, geology):
        with pytest.raises(InputError, match="is empty"):
            run(geology([None, None, None]))

    def test_polygons_elsewhere(self, run, geology):
        far = box(LEFT + 5000, TOP, LEFT + 6000, TOP + 50)
        with pytest.raises(GridError, match=r"x 505000 to 506000.*does not overlap.*500000 to"):
            run(geology([1], [far]))

    def test_lines_are_no_polygons(self, run, tmp_path):
        path = tmp_path / "lines.gpkg"
        gpd.GeoDataFrame({"unit": [1]}, geometry=[box(0, 0, 1, 1).boundary], crs=32632).to_file(
            path
        )
        with pytest.raises(InputError, match="holds no polygon"):
            run(str(path))


class TestOneHot:
    def run(self, layer, reference, tmp_path, field="unit"):
        output = tmp_path / "bands.tif"
        result = classes(
            input=str(layer),
            field=field,
            reference=str(reference),
            output=str(output),
            one_hot=True,
            progress=Progress(),
        )
        return output, result

    def test_one_band_a_class(self, geology, reference, tmp_path):
        output, result = self.run(
            geology(["Old shale", "gneiss", "Old shale"]), reference, tmp_path
        )
        with rasterio.open(output) as dataset:
            assert dataset.descriptions == ("lithology_old_shale", "lithology_gneiss")
            assert dataset.dtypes == ("uint8", "uint8") and dataset.nodata == 255
            shale, gneiss = dataset.read()
            assert dataset.tags(1)["CLASS_NAME"] == "Old shale"
        assert (shale[:10, :10] == 1).all() and (gneiss[:10, :10] == 0).all()
        assert (shale[:10, 10:20] == 0).all() and (gneiss[:10, 10:20] == 1).all()
        assert (shale[20:] == 255).all() and (gneiss[20:] == 255).all()
        assert result["classes"] == {"1": "Old shale", "2": "gneiss"}

    def test_the_same_bands_as_the_stack_makes(self, geology, reference, tmp_path):
        layer = geology(["shale", "gneiss", "shale"])
        bands, _ = self.run(layer, reference, tmp_path)
        single = tmp_path / "single.tif"
        classes(
            input=layer, field="unit", reference=reference, output=str(single), progress=Progress()
        )
        stacks = []
        for name in (bands, single):
            path = tmp_path / f"stack_of_{name.name}"
            stack(layers=[str(name)], output=str(path), progress=Progress())
            with rasterio.open(path) as dataset:
                stacks.append((dataset.descriptions, dataset.read()))
        (names, values), (other_names, other_values) = stacks
        assert sorted(names) == sorted(other_names)
        order = [other_names.index(name) for name in names]
        assert np.array_equal(values, other_values[order])

    def test_classes_of_a_raster(self, make_raster, reference, tmp_path):
        codes = make_raster("c.tif", np.tile([[4], [-2]], (15, 30)).astype(np.int16))
        output, _ = self.run(codes, reference, tmp_path, field="")
        with rasterio.open(output) as dataset:
            assert dataset.descriptions == ("lithology_2", "lithology_4")
            assert np.array_equal(dataset.read().sum(axis=0), np.ones((30, 30)))

    def test_too_many_classes(self, make_raster, reference, tmp_path):
        codes = make_raster("c.tif", np.arange(900).reshape(30, 30).astype(np.int16))
        with pytest.raises(InputError, match="900 classes, too many for a band each"):
            self.run(codes, reference, tmp_path, field="")
        assert not (tmp_path / "bands.tif").exists()
