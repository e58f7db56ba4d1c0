"""Downloads files, several at once: asks for signed URLs, resumes broken downloads, checks sizes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, TypeAlias

import httpx
import pyarrow as pa

from neptune_exporter.contract import AttributeFailure, FileWriter, RunRows, SourceError, StoredFile, chunked
from neptune_exporter.schema import TIME_TYPE, step_columns
from neptune_exporter.toolkit import (
    TRANSIENT_STATUSES,
    AwayError,
    Body,
    SlowError,
    TransientError,
    look_ahead,
    receive,
    retry_after,
    waiting_for,
)
from neptune_exporter.toolkit.connections import demand_least_rate
from neptune_exporter.toolkit.http_errors import StoppedError
from neptune_exporter_neptune3.api import Api
from neptune_exporter_neptune3.attributes import FileToFetch
from neptune_exporter_neptune3.client import transport_error

SIGNED_AT_ONCE = 200
"""Files for which one request asks for URLs."""
_CHUNK = 1 << 18
"""Bytes that are read at once."""
_EXPIRED = frozenset({400, 401, 403})
"""How object stores answer an expired URL (`download_file` in the client): gcp 400, aws and azure 403."""
_BATCH = 500
"""Rows of files in a batch, at most."""


class Downloads:
    """Brings files from the server's object store into the dataset."""

    def __init__(self, api: Api, executor: Executor, connections: int, timeout: float) -> None:
        self._api = api
        self._executor = executor
        self._width = 2 * connections
        self._seconds = timeout
        self._timeout = httpx.Timeout(timeout, connect=min(30.0, timeout))
        self._limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._opening = threading.Lock()
        self._opened: httpx.Client | None = None

    @property
    def _http(self) -> httpx.Client:
        """Created at the first download, because loading certificates takes time."""
        with self._opening:
            if self._opened is None:
                self._opened = httpx.Client(
                    timeout=self._timeout,
                    limits=self._limits,
                    follow_redirects=True,
                    # One context for all: httpx would make one for each proxy, 30 ms each.
                    verify=httpx.create_ssl_context(verify=self._api.verifies_certificates),
                )
                demand_least_rate(self._opened, self._seconds)
            return self._opened

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def read(self, wanted: Iterable[FileToFetch], writer: FileWriter) -> Iterator[RunRows | AttributeFailure]:
        """Download files, and deliver the rows that name them, run after run as they are given. Raises
        AuthenticationError, and SourceError if the server cannot be reached."""
        done: list[tuple[FileToFetch, StoredFile]] = []
        fetch = partial(self._fetch, writer)
        for (file, _), result in look_ahead(self._executor, self._signed(wanted), fetch, self._width):
            fetched = result()
            if done and (done[0][0].run != file.run or len(done) >= _BATCH):
                yield _rows(done)
                done = []
            if isinstance(fetched, StoredFile):
                done.append((file, fetched))
            else:
                yield fetched
        if done:
            yield _rows(done)

    def _signed(self, wanted: Iterable[FileToFetch]) -> Iterator[tuple[FileToFetch, _Url | SourceError]]:
        for chunk in chunked(wanted, SIGNED_AT_ONCE):
            yield from zip(chunk, self._sign(chunk), strict=True)

    def _sign(self, files: Sequence[FileToFetch]) -> Sequence[_Url | SourceError]:
        """A URL for each file, or why there is none. If a request fails, halving finds the file at fault."""
        project_id = files[0].run.project_id
        try:
            signed = self._api.sign(project_id, [file.ref.path for file in files])
            return [_url_of(file, signed) for file in files]
        except (AwayError, StoppedError):
            raise
        except SourceError as error:
            if len(files) == 1:
                return [error]
            middle = len(files) // 2
            return [*self._sign(files[:middle]), *self._sign(files[middle:])]

    def _fetch(
        self, writer: FileWriter, signed: tuple[FileToFetch, _Url | SourceError]
    ) -> StoredFile | AttributeFailure:
        """Raises AuthenticationError, StoppedError, and AwayError if the server cannot be reached to sign."""
        file, url = signed
        if isinstance(url, SourceError):
            return _failed(file, url)
        download = _Download(self._api, self._http, file, url)
        try:
            return self._store(download, writer)
        except StoppedError:
            raise
        except SourceError as error:
            return _failed(file, error)

    def _store(self, download: _Download, writer: FileWriter) -> StoredFile:
        file = download.file
        opened = writer.create(file.run, file.path, name=file.name, step=file.step, ordinal=file.ordinal)
        with opened as into, waiting_for(f"the object store: {file.run} {file.path}{_at(file)}"):
            self._api.streaks.call(
                "download", lambda patience: receive(download.open_at, into, file.ref.size, patience)
            )
        return opened.stored


_Url: TypeAlias = "tuple[str, str]"
"""Provider and address."""


def _url_of(file: FileToFetch, signed: Mapping[str, _Url]) -> _Url | SourceError:
    """The URL of a file. If the answer has none, asking again does not help."""
    found = signed.get(file.ref.path)
    return found or SourceError("the server gives no URL of the file")


class _Download:
    """The content of one file, from any byte on; its URL is renewed when it has expired."""

    def __init__(self, api: Api, http: httpx.Client, file: FileToFetch, url: _Url) -> None:
        self.file = file
        self._api = api
        self._http = http
        self._url = url
        self._is_fresh = False

    @contextmanager
    def open_at(self, offset: int) -> Iterator[Body]:
        with ExitStack() as stack:
            try:
                body = stack.enter_context(self._open(offset))
            except _ExpiredError:
                self._sign_again()
                body = stack.enter_context(self._open(offset))
            yield body

    @contextmanager
    def _open(self, offset: int) -> Iterator[Body]:
        self._api.check_running()
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        provider, url = self._url
        if offset:
            headers["x-ms-range" if provider == "azure" else "Range"] = f"bytes={offset}-"
        try:
            with self._http.stream("GET", url, headers=headers) as answer:
                if answer.status_code not in (200, 206, 416):
                    self._refuse(answer)
                self._is_fresh = False
                yield Body.of_http(answer.status_code, answer.headers, self._chunks(answer))
        except SlowError as error:
            raise SlowError(f"the object store: {error}") from None
        except httpx.HTTPError as error:
            raise _lasting(transport_error(error)) from None
        except (httpx.InvalidURL, httpx.StreamError) as error:
            raise SourceError(f"the file cannot be asked for: {type(error).__name__}") from None

    def _chunks(self, answer: httpx.Response) -> Iterator[bytes]:
        for chunk in answer.iter_bytes(_CHUNK):
            self._api.check_running()
            yield chunk

    def _sign_again(self) -> None:
        url = _url_of(self.file, self._api.sign(self.file.run.project_id, [self.file.ref.path]))
        if isinstance(url, SourceError):
            raise url
        self._url, self._is_fresh = url, True

    def _refuse(self, answer: httpx.Response) -> None:
        """Raises _ExpiredError, TransientError, or SourceError for what is final."""
        status = answer.status_code
        if status in _EXPIRED and not self._is_fresh:
            raise _ExpiredError
        if status in TRANSIENT_STATUSES:
            raise TransientError(f"the object store answers HTTP {status}", retry_after(answer.headers))
        if status == 404:
            raise SourceError(f"the file is not in Neptune's object store{_at(self.file)}")
        raise SourceError(f"the object store refuses the file: HTTP {status}{_at(self.file)}")


class _ExpiredError(Exception):
    """The URL of a file has expired. It is renewed, and the request repeated at once."""


def _lasting(error: SourceError) -> SourceError:
    """The error, without AwayError: if the store cannot be reached, only its files fail, not the group."""
    return TransientError(f"the object store: {error}") if isinstance(error, TransientError) else error


def _at(file: FileToFetch) -> str:
    return "" if file.step is None else f" (step {file.step:g})"


def _failed(file: FileToFetch, error: SourceError) -> AttributeFailure:
    text = str(error)
    message = text if _at(file) in text else text + _at(file)
    return AttributeFailure.of(file.run, file.path, file.type, error, message)


def _rows(done: Sequence[tuple[FileToFetch, StoredFile]]) -> RunRows:
    """Rows of one run."""
    columns: dict[str, Any] = {
        "attribute_path": pa.array([file.path for file, _ in done], pa.string()),
        "attribute_type": pa.array([file.type.value for file, _ in done], pa.string()),
        **step_columns(pa.array([file.step for file, _ in done], pa.float64())),
        "timestamp": pa.array([file.timestamp for file, _ in done], pa.int64()).view(TIME_TYPE),
        **StoredFile.columns(stored for _, stored in done),
    }
    return RunRows(done[0][0].run, pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns)))
