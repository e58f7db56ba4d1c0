"""Writes points into the tracking server's own database, for users with many points and access to it.

A run, its tags, parameters and artifacts are made with MLflow's client; only the rows of `metrics` and
`latest_metrics` are written here, as `mlflow.store.tracking.sqlalchemy_store` of 3.17.2 writes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from neptune_exporter.contract import SinkError, UsageError
from neptune_exporter.sinks.points import Points
from neptune_exporter.toolkit import first_line
from neptune_exporter_mlflow.connecting import ask_database, shown, translated
from neptune_exporter_mlflow.postgresql_rows import copied_rows

SCHEMAS = {
    "6953534de441": "3.1",
    "770bee3ae1dd": "3.2",
    "1a0cddfcaa16": "3.3",
    "71994744cf8e": "3.4",
    "bf29a5ff90ea": "3.5 to 3.7",
    "1bd49d398cd23": "3.8",
    "d3e4f5a6b7c8": "3.9",
    "1b5f0d9ad7c1": "3.10",
    "c3d6457b6d8a": "3.11",
    "7d34483879f0": "3.12",
    "da6fb0208061": "3.13",
    "b7e4c1a90f23": "3.14",
    "6f8d9c3b2a1e": "3.15",
    "b7e2c1a4d9f3": "3.16",
    "dc11669786a5": "3.17",
    "f4a9b2c7d1e6": "3.18",
}
"""The latest migration of MLflow's tables in its releases. `metrics` and `latest_metrics` have the same
columns and keys in all of them, by the classes `SqlMetric` and `SqlLatestMetric` of each.
3.12 added an index."""

_COLUMNS = '("key", value, "timestamp", step, run_uuid, is_nan)'
_COPY = f"copy metrics {_COLUMNS} from stdin (format binary)"
_TOGETHER = 150
"""Rows in one statement, which takes SQLite half of the time of so many statements. Before 3.32 it takes at
most 999 values in one."""
_LATEST = text(
    'insert into latest_metrics ("key", value, "timestamp", step, is_nan, run_uuid) '
    'values (:key, :value, :time, :step, :is_nan, :run) on conflict ("key", run_uuid) do update set '
    'value = excluded.value, "timestamp" = excluded."timestamp", step = excluded.step, '
    "is_nan = excluded.is_nan"
)


class DirectPoints:
    """Writes points of new runs; each window in one transaction. Raises UsageError if it is neither sqlite
    nor PostgreSQL, or its tables are of a version that is not known, and SinkError if it cannot be reached.

    Args:
        uri: Of the database, which must be the one of the tracking server.
    """

    def __init__(self, uri: str) -> None:
        self._what = f"the database {shown(uri)}"
        with translated(self._what):
            ask_database(_url(uri).render_as_string(hide_password=False))
            self._engine = create_engine(_url(uri))
            with self._engine.connect() as connection:
                _check_schema(connection, self._what)

    def write(self, run_id: str, names: Sequence[str], points: Points) -> None:
        """Write points, whose series come whole step by step, and what is the latest of each. Raises
        SinkError if the run is not in this database."""
        is_nan = np.isnan(points.value)
        held = Points(points.series, points.step, points.time, np.where(is_nan, 0.0, points.value))
        with translated(self._what), self._engine.begin() as connection:
            if (
                connection.execute(text("select 1 from runs where run_uuid = :run"), {"run": run_id}).first()
                is None
            ):
                raise SinkError(f"{self._what} is not the one of the tracking server: it has no run {run_id}")
            self._insert(connection, run_id, names, held, is_nan)
            connection.execute(_LATEST, _latest(run_id, names, held, is_nan))

    def _insert(
        self, connection: Connection, run_id: str, names: Sequence[str], held: Points, is_nan: Any
    ) -> None:
        """Past SQLAlchemy, which would need a list of the rows and has no COPY."""
        cursor: Any = connection.connection.cursor()
        try:
            if self._engine.dialect.name == "sqlite":
                columns = [np.array(names, object)[held.series], held.value, held.time, held.step]
                flags = is_nan.view(np.uint8).tolist()  # `sqlite3` would look for an adapter of each bool
                rows = zip(*(c.tolist() for c in columns), [run_id] * len(held), flags, strict=True)
                values, (full, rest) = chain.from_iterable(rows), divmod(len(held), _TOGETHER)
                cursor.executemany(
                    _statement(_TOGETHER), (tuple(islice(values, 6 * _TOGETHER)) for _ in range(full))
                )
                if rest:
                    cursor.execute(_statement(rest), tuple(values))
            else:
                with cursor.copy(_COPY) as copy:
                    for piece in copied_rows(run_id, names, held, is_nan):
                        copy.write(piece)
        except self._engine.dialect.loaded_dbapi.Error as error:
            raise SinkError(f"{self._what}: {first_line(error)}") from error
        finally:
            cursor.close()

    def close(self) -> None:
        self._engine.dispose()


def _statement(rows: int) -> str:
    values = ", ".join(["(?, ?, ?, ?, ?, ?)"] * rows)
    return f"insert into metrics {_COLUMNS} values {values} on conflict do nothing"


def _url(uri: str) -> URL:
    url = make_url(uri)
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise UsageError(
            f"--mlflow-direct-database takes sqlite and PostgreSQL, not {url.get_backend_name()}"
        )
    return url.set(drivername="postgresql+psycopg") if url.get_backend_name() == "postgresql" else url


def _check_schema(connection: Connection, what: str) -> None:
    try:
        found = list(connection.execute(text("select version_num from alembic_version")).scalars())
    except SQLAlchemyError as error:
        raise UsageError(f"{what} has no tables of MLflow: start `mlflow server` on it once") from error
    if len(found) != 1 or found[0] not in SCHEMAS:
        raise UsageError(
            f"{what} has tables of a version that this loader does not know ({', '.join(found) or 'none'}): "
            "leave out --mlflow-direct-database, or bring it to a version that it knows with `mlflow db "
            f"upgrade` of MLflow 3.1 to 3.18"
        )


def _latest(run_id: str, names: Sequence[str], held: Points, is_nan: Any) -> list[dict[str, Any]]:
    """The greatest point of each series by step, time and value, with NaN as 0, as MLflow does it."""
    order = np.lexsort((held.value, held.time, held.step, held.series))
    series = held.series[order]
    last = order[np.flatnonzero(np.append(series[1:] != series[:-1], True))]
    return [
        {
            "key": names[held.series[i]],
            "value": float(held.value[i]),
            "time": int(held.time[i]),
            "step": int(held.step[i]),
            "is_nan": bool(is_nan[i]),
            "run": run_id,
        }
        for i in last.tolist()
    ]
