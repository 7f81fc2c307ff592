"""Areas, lines and points come back from every format as they went in, and CRS are not guessed."""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from shapely import LineString, Point, Polygon

from geo.area_files import FORMATS, features_of, leg_shapes, read_features, write_features
from geo.areas import area_of, read_area, read_line, read_points
from geo.errors import AreaInvalid
from geo.legs import Leg
from geo.positions import LocalPlane, distance_m
from geo.shapes import Shape

LON, LAT = 76.9, 43.2
HOLED = Polygon(
    [(LON, LAT), (LON + 0.01, LAT), (LON + 0.01, LAT + 0.01), (LON, LAT + 0.01)],
    [[(LON + 0.002, LAT + 0.002), (LON + 0.004, LAT + 0.002), (LON + 0.004, LAT + 0.004)]],
)
FIELD = Shape(HOLED, "Тіркеме № 1 <&>", {"owner": "akimat", "hectares": 12.5, "visits": 3})
CANAL = Shape(LineString([(LON, LAT), (LON + 0.02, LAT + 0.001), (LON + 0.03, LAT)]), "canal", {"width_m": 30})
INTAKES = [Shape(Point(LON + 0.001 * n, LAT), f"intake {n}", {"depth": float(n)}) for n in range(3)]
ALL = [FIELD, CANAL, *INTAKES]


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != ".shp"])
def test_every_format_gives_back_what_was_written(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"all{kind}"
    write_features(path, ALL)
    found = {shape.name: shape for shape in read_features(path)}
    assert set(found) == {shape.name for shape in ALL}
    for shape in ALL:
        read = found[shape.name]
        assert type(read.geometry) is type(shape.geometry)
        assert read.geometry.equals_exact(shape.geometry.normalize(), 1e-9) or read.geometry.normalize().equals_exact(
            shape.geometry.normalize(), 1e-9
        )
        values = {key: read.attributes[key] for key in shape.attributes}
        assert {key: str(value) for key, value in values.items()} == {k: str(v) for k, v in shape.attributes.items()}
    assert not list(tmp_path.glob("*.part"))


def test_a_shapefile_is_one_kind_of_shape_in_several_files(tmp_path: Path) -> None:
    write_features(tmp_path / "field.shp", [FIELD])
    assert {path.suffix for path in tmp_path.iterdir()} >= {".shp", ".shx", ".dbf", ".prj"}
    (read,) = read_features(tmp_path / "field.shp")
    assert (read.name, read.attributes["hectares"]) == (FIELD.name, 12.5)
    with pytest.raises(AreaInvalid, match=r"write a \.zip or a \.gpkg"):
        write_features(tmp_path / "all.shp", ALL)
    with pytest.raises(AreaInvalid, match=r"zip the \.shp with its \.shx"):
        features_of("field.shp", (tmp_path / "field.shp").read_bytes())


def test_gdal_reads_what_is_written(tmp_path: Path) -> None:
    """Another program's view of the files: kinds, CRS, names; outlines wound as each format has it."""
    for kind in (".geojson", ".kml", ".gpkg"):
        path = tmp_path / f"field{kind}"
        write_features(path, [FIELD])
        info = pyogrio.read_info(path)
        assert (info["crs"], info["features"]) == ("EPSG:4326", 1)
        _, _, (wkb,), _ = pyogrio.raw.read(path)
        assert shapely.from_wkb(wkb).normalize().equals_exact(HOLED.normalize(), 1e-9)
    ring = json.loads((tmp_path / "field.geojson").read_text())["features"][0]["geometry"]["coordinates"][0]
    assert shapely.LinearRing(ring).is_ccw


@pytest.mark.parametrize("crs", ["EPSG:32643", "EPSG:3857", "EPSG:28413"])
def test_another_crs_is_converted(crs: str, tmp_path: Path) -> None:
    """Written in the CRS by GDAL, read back within a centimetre."""
    import pyproj

    forth = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    there = shapely.transform(HOLED, lambda xy: np.column_stack(forth.transform(xy[:, 0], xy[:, 1])))
    wkb = np.array([shapely.to_wkb(there)], object)
    for driver, name in (("GPKG", "a.gpkg"), ("ESRI Shapefile", "a.shp")):
        pyogrio.raw.write(
            tmp_path / name, wkb, [], np.array([], object), driver=driver, geometry_type="Polygon", crs=crs
        )
        (read,) = read_features(tmp_path / name)
        lon, lat = read.geometry.exterior.coords[0]
        near = min(float(distance_m(lon, lat, x, y)) for x, y in HOLED.exterior.coords)
        assert near < 0.01, (driver, crs)


def test_a_crs_that_is_not_said_is_not_guessed(tmp_path: Path) -> None:
    write_features(tmp_path / "field.shp", [FIELD])
    (tmp_path / "field.prj").unlink()
    with pytest.raises(AreaInvalid, match=r"does not say its CRS \(no \.prj\): add it, or say which"):
        read_features(tmp_path / "field.shp")
    assert read_area(tmp_path / "field.shp", crs="EPSG:4326").area_m2 > 0
    with pytest.raises(AreaInvalid, match="'EPSG:1' is not known"):
        read_features(tmp_path / "field.shp", crs="EPSG:1")
    old = {"type": "Point", "coordinates": [654321.0, 4784567.0]}
    old["crs"] = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32643"}}
    (point,) = features_of("a.geojson", json.dumps(old).encode())
    assert abs(point.geometry.x - 76.9) < 0.1
    old["crs"]["properties"]["name"] = "urn:ogc:def:crs:OGC:1.3:CRS84"  # type: ignore[index]
    with pytest.raises(AreaInvalid, match="not a place on earth"):
        features_of("a.geojson", json.dumps(old).encode())


def test_parts_of_several_are_named_so_that_one_can_be_chosen(tmp_path: Path) -> None:
    other = shapely.affinity.translate(HOLED, 0.05, 0)
    path = tmp_path / "two.geojson"
    path.write_text(
        json.dumps(
            {
                "type": "Feature",
                "properties": {"name": "banks"},
                "geometry": json.loads(shapely.to_geojson(shapely.MultiPolygon([HOLED, other]))),
            }
        )
    )
    assert [shape.name for shape in read_features(path)] == ["banks (1)", "banks (2)"]
    with pytest.raises(
        AreaInvalid, match=r"2 polygons: choose one .*: 1 Polygon 'banks \(1\)', 2 Polygon 'banks \(2\)'"
    ):
        read_area(path)
    assert read_area(path, name="banks (2)").polygon.bounds[0] == pytest.approx(LON + 0.05)
    assert read_area(path, name="1").polygon.bounds[0] == pytest.approx(LON)
    with pytest.raises(AreaInvalid, match="0 polygons are called 'x'"):
        read_area(path, name="x")


def test_lines_and_points_are_chosen_from_all_that_a_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "all.kmz"
    write_features(path, ALL)
    assert read_line(path).equals_exact(CANAL.geometry, 1e-9)
    assert [point.name for point in read_points(path)] == ["intake 0", "intake 1", "intake 2"]
    assert read_area(path).area_m2 == pytest.approx(area_of(FIELD).area_m2)
    write_features(path, [FIELD])
    with pytest.raises(AreaInvalid, match="0 lines but 1 Polygon"):
        read_line(path)
    with pytest.raises(AreaInvalid, match="no point but 1 Polygon"):
        read_points(path)


@pytest.mark.parametrize("kind", [".geojson", ".kmz", ".gpkg", ".zip"])
def test_a_coverage_path_is_written_leg_by_leg(kind: str, tmp_path: Path) -> None:
    plane = LocalPlane(lon=LON, lat=LAT)
    stop = Leg((0.0, 50.0), (0.0, 50.0), hold_s=3.0)
    legs = (Leg((0.0, 0.0), (100.0, 0.0)), Leg((100.0, 50.0), (0.0, 50.0), approach=((120.0, 25.0),)), stop)
    write_features(tmp_path / f"a{kind}", leg_shapes(legs, plane))
    found = {shape.name: shape for shape in read_features(tmp_path / f"a{kind}")}
    assert set(found) == {"leg 0", "way 1", "leg 1", "leg 2"}, "no way to a leg that begins where the last ended"
    for name, corners in (
        ("leg 0", [(0, 0), (100, 0)]),
        ("way 1", [(100, 0), (120, 25), (100, 50)]),
        ("leg 2", [(0, 50)]),
    ):
        x, y = plane.to_plane(*np.array(found[name].geometry.coords).T)
        assert np.allclose(np.column_stack([x, y]), corners, atol=1e-3)
    assert float(str(found["leg 2"].attributes["hold_s"])) == 3.0


def test_a_view_in_a_geopackage_is_not_run(tmp_path: Path) -> None:
    """A layer that is computed without end, at no more than a refusal."""
    path = tmp_path / "a.gpkg"
    write_features(path, [FIELD])
    with sqlite3.connect(path) as database:
        database.execute("ALTER TABLE areas RENAME TO hidden")
        database.execute(
            "CREATE VIEW areas AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i AS fid, "
            "(SELECT geom FROM hidden) AS geom FROM n"
        )
    database.close()
    with pytest.raises(AreaInvalid, match="'areas' is computed, not stored"):
        read_features(path)


def test_a_kmz_of_another_program_is_read(tmp_path: Path) -> None:
    """A folder, a style, schema data, heights and a line break between places, as Google Earth writes them."""
    kml = """<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2" xmlns:gx="http://www.google.com/kml/ext/2.2">
    <Document><Style id="s"/><Folder><name>F</name><Placemark><name>A</name><description>words</description>
    <ExtendedData><SchemaData schemaUrl="#x"><SimpleData name="kind">dump</SimpleData></SchemaData></ExtendedData>
    <MultiGeometry><Polygon><innerBoundaryIs><LinearRing><coordinates>76.902,43.202 76.904,43.202 76.904,43.204
    </coordinates></LinearRing></innerBoundaryIs><outerBoundaryIs><LinearRing><coordinates>
    76.9,43.2,0
    76.91,43.2,0 76.91,43.21,0 76.9,43.21,0 76.9,43.2,0</coordinates></LinearRing></outerBoundaryIs></Polygon>
    <Point><coordinates>76.9,43.2</coordinates></Point></MultiGeometry></Placemark></Folder></Document></kml>"""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("doc.kml", kml)
        archive.writestr("files/picture.png", b"PNG")
    area, point = features_of("a.kmz", target.getvalue())
    assert area.geometry.normalize().equals_exact(HOLED.normalize(), 1e-9)
    assert (area.name, point.name) == ("A (1)", "A (2)")
    assert area.attributes == {"kind": "dump", "description": "words"}
