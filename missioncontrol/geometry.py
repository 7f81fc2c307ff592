"""Geometry in the database: shapely objects in and out, WGS 84, on SQLite and on PostGIS alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy import ColumnElement, Dialect, LargeBinary, Table, and_, bindparam, column, func, select, table
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

SRID = 4326


class _PostgisGeometry(UserDefinedType[Any]):
    """`geometry(Geometry,4326)`; asyncpg's codec of the connection turns it into shapely."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The column's type in DDL."""
        return f"geometry(Geometry,{SRID})"


class Geom(TypeDecorator[BaseGeometry]):
    """A shapely geometry in lon, lat, deg: PostGIS `geometry` on PostgreSQL, WKB in a BLOB on SQLite."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The type of the back end."""
        return dialect.type_descriptor(_PostgisGeometry() if dialect.name == "postgresql" else LargeBinary())

    def process_bind_param(self, value: BaseGeometry | None, dialect: Dialect) -> Any:
        """Shapely to what the driver takes."""
        if value is None or dialect.name == "postgresql":
            return value
        return shapely.to_wkb(value, output_dimension=2)

    def process_result_value(self, value: Any, dialect: Dialect) -> BaseGeometry | None:
        """What the driver gives, as shapely."""
        if value is None or dialect.name == "postgresql":
            return value
        return shapely.from_wkb(value)


def hits(dialect_name: str, place: ColumnElement[Any], shape: BaseGeometry) -> ColumnElement[bool]:
    """SQL that is true where the geometry column `place` shares a point with `shape`; uses the spatial index.

    On PostGIS this is ST_Intersects over GiST; on SQLite the R*Tree narrows down by bounding box and shapely decides.
    """
    if dialect_name == "postgresql":
        return func.ST_Intersects(place, bindparam(None, shape, type_=Geom()))
    return and_(near(dialect_name, place, shape), func.geom_hits(place, shapely.to_wkb(shape)) == 1)


def near(dialect_name: str, place: ColumnElement[Any], shape: BaseGeometry) -> ColumnElement[bool]:
    """SQL that is true where the bounding boxes of the geometry column `place` and of `shape` share a point.

    Uses the spatial index: GiST on PostGIS, on SQLite the R*Tree `<table>_<column>`.
    """
    if dialect_name == "postgresql":
        return place.op("&&", is_comparison=True)(bindparam(None, shape, type_=Geom()))
    west, south, east, north = shape.bounds
    owner = place.table
    assert isinstance(owner, Table)
    boxes = table(
        index_name(owner.name, place.key or ""),
        column("id"),
        *(column(name) for name in ("min_x", "max_x", "min_y", "max_y")),
    )
    found = select(boxes.c.id).where(
        boxes.c.min_x <= east, boxes.c.max_x >= west, boxes.c.min_y <= north, boxes.c.max_y >= south
    )
    return owner.c.number.in_(found)


def index_name(table_name: str, column_name: str) -> str:
    """Name of the spatial index of a geometry column."""
    return f"{table_name}_{column_name}"


def index_statements(dialect_name: str, table_name: str, column_name: str) -> list[str]:
    """DDL of the spatial index of a column whose table has the integer key `number`; for migrations."""
    name = index_name(table_name, column_name)
    if dialect_name == "postgresql":
        return [f"CREATE INDEX {name} ON {table_name} USING gist ({column_name})"]
    box = ", ".join(f"geom_bound(new.{column_name}, {side})" for side in (0, 2, 1, 3))
    insert = f"INSERT INTO {name} SELECT new.number, {box} WHERE new.{column_name} IS NOT NULL;"
    delete = f"DELETE FROM {name} WHERE id = old.number;"
    return [
        f"CREATE VIRTUAL TABLE {name} USING rtree(id, min_x, max_x, min_y, max_y)",
        f"CREATE TRIGGER {name}_insert AFTER INSERT ON {table_name} BEGIN {insert} END",
        f"CREATE TRIGGER {name}_update AFTER UPDATE OF {column_name} ON {table_name} BEGIN {delete} {insert} END",
        f"CREATE TRIGGER {name}_delete AFTER DELETE ON {table_name} BEGIN {delete} END",
    ]


def _geom_hits(one: bytes | None, other: bytes | None) -> int | None:
    if one is None or other is None:
        return None
    return int(shapely.intersects(shapely.from_wkb(one), shapely.from_wkb(other)))


def _geom_bound(wkb: bytes | None, side: int) -> float | None:
    return None if wkb is None else float(shapely.from_wkb(wkb).bounds[side])


SQLITE_FUNCTIONS: tuple[tuple[str, int, Callable[..., Any]], ...] = (
    ("geom_hits", 2, _geom_hits),
    ("geom_bound", 2, _geom_bound),
)
"""SQL functions that every SQLite connection is given: name, number of arguments, function."""


def to_ewkb(shape: BaseGeometry) -> bytes:
    """What PostGIS takes in binary."""
    return bytes(shapely.to_wkb(shapely.set_srid(shape, SRID), output_dimension=2, include_srid=True))
