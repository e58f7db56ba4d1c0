"""Loads runs into tables of one SQLite file. NaN is null there, as SQLite has none."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from neptune_exporter.contract import LoadOptions, ParameterValue, SinkError
from neptune_exporter.sinks.comparing import Held
from neptune_exporter.sinks.loader import Found, Loader
from neptune_exporter.sinks.metadata import RunMetadata
from neptune_exporter.sinks.points import Points
from neptune_exporter.sinks.received import Entries, FileToSend, HistogramValue
from neptune_exporter.sinks.values import as_json
from neptune_exporter_sqlite import CAPABILITIES

_TABLES = {
    "parameter": "run, name, value",
    **dict.fromkeys(("points", "texts", "histograms"), "run, name, step, time, value"),
    "file": "run, name, unique_name, step, time, piece, data",
}
_RUN = "mark, name, created, ended, tags, parent, fork_step, status, record"


class SqliteLoader(Loader):
    capabilities = CAPABILITIES

    def __init__(self, path: Path, options: LoadOptions) -> None:
        super().__init__(options)
        self._path = path
        with self._database() as db:
            db.execute(f"create table if not exists run (id integer primary key autoincrement, {_RUN})")
            for table, columns in _TABLES.items():
                db.execute(f"create table if not exists {table} ({columns})")
                db.execute(f"create index if not exists of_{table} on {table} (run, name)")

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, timeout=60)) as db, db:
                yield db
        except sqlite3.Error as error:
            raise SinkError(f"{self._path}: {error}") from error

    def _insert(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with self._database() as db:
            db.executemany(f"insert into {table} values (?{', ?' * _TABLES[table].count(',')})", rows)

    def _select(self, columns: str, table: str, **where: object) -> list[Any]:
        query = f"select {columns} from {table} where {' and '.join(f'{c} = :{c}' for c in where)}"
        with self._database() as db:
            return db.execute(query + " order by rowid", where).fetchall()

    def find(self, mark: str) -> Sequence[Found]:
        return [Found(str(number), record) for number, record in self._select("id, record", "run", mark=mark)]

    def discard(self, target_id: str, finished: bool = True) -> None:
        with self._database() as db:
            db.execute("delete from run where id = ? and (? or record = '')", [target_id, finished])
            if db.execute("select 1 from run where id = ?", [target_id]).fetchone():
                raise SinkError(f"run {target_id}: another load has finished it meanwhile")
            for table in _TABLES:
                db.execute(f"delete from {table} where run = ?", [target_id])

    def discard_unfinished(self, target_id: str) -> None:
        self.discard(target_id, finished=False)

    def begin(self, run: RunMetadata) -> str:
        row = [run.mark, run.name, run.created, run.ended, json.dumps(run.tags), run.parent_id]
        row += [None if run.fork_step is None else str(run.fork_step), "loading", ""]
        with self._database() as db:
            return str(db.execute(f"insert into run ({_RUN}) values (?{', ?' * 8})", row).lastrowid)

    def parameters(self, target_id: str, values: Mapping[str, ParameterValue]) -> None:
        self._insert("parameter", ((target_id, n, json.dumps(as_json(v))) for n, v in values.items()))

    def points(self, target_id: str, names: Sequence[str], points: Points) -> None:
        rows = zip(*(column.tolist() for column in points.columns), strict=True)
        self._insert("points", ((target_id, names[series], *rest) for series, *rest in rows))

    def texts(self, target_id: str, entries: Entries[str]) -> None:
        self._insert("texts", ((target_id, *entry) for entry in entries))

    def histograms(self, target_id: str, entries: Entries[HistogramValue]) -> None:
        self._insert("histograms", ((target_id, n, s, t, json.dumps(value)) for n, s, t, value in entries))

    def file(self, target_id: str, file: FileToSend) -> None:
        about = (target_id, file.name, file.unique_name, file.step, file.time)
        with file.open() as source:
            pieces = enumerate(iter(lambda: source.read(1 << 20), b""))
            self._insert("file", ((*about, *piece) for piece in (pieces if file.size else [(0, b"")])))

    def finish(self, target_id: str, run: RunMetadata, record: str) -> None:
        self.replace_record(target_id, record, run.status)

    def replace_record(self, target_id: str, record: str, status: str | None = None) -> None:
        with self._database() as db:
            query = "update run set record = ?, status = ifnull(?, status) where id = ?"
            if not db.execute(query, [record, status, target_id]).rowcount:
                raise SinkError(f"run {target_id}: another load has begun it again and goes on with it")

    def read_back(self, target_id: str) -> Held:
        def entries(table: str, name: str) -> list[Any]:
            return self._select("step, time, value", table, run=target_id, name=name)

        def file(file: FileToSend) -> BinaryIO | None:
            pieces = self._select("data", "file", run=target_id, unique_name=file.unique_name)
            return io.BytesIO(b"".join(data for (data,) in pieces)) if pieces else None

        ((*about, tags),) = self._select("name, status, created, ended, parent, tags", "run", id=target_id)
        return Held(
            {n: json.loads(value) for n, value in self._select("name, value", "parameter", run=target_id)},
            lambda name: [Points.of_rows(entries("points", name))],
            lambda name: entries("texts", name),
            lambda name: ((s, t, HistogramValue(*json.loads(v))) for s, t, v in entries("histograms", name)),
            file,
            {t: {n for (n,) in self._select("name", t, run=target_id)} for t in ("points", "texts")},
            *about,
            tags=json.loads(tags),
        )
