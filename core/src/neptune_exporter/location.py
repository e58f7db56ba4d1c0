"""Where the folders of a dataset lie: on this machine, or at an address of an object store."""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from neptune_exporter.contract.settings import Secret
from neptune_exporter.errors import UsageError

Options = tuple[tuple[str, "str | Secret"], ...]

_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):(?P<slashes>/+)(?P<rest>.*)", re.DOTALL)
_MAY_BE_SECRET = re.compile(r"key|secret|token|passw|credential|sas|connection|signature|user", re.IGNORECASE)


@dataclass(frozen=True)
class Location:
    """A folder, on this machine or in an object store.

    Examples:
        >>> str(Location.of("s3://bucket/exports/data/"))
        's3://bucket/exports/data'
        >>> Location.of("file:///srv/exports").path
        PosixPath('/srv/exports')
    """

    address: str
    """A path of this machine, or an address such as `s3://bucket/folder`."""
    options: Options = field(default=(), repr=False)
    """What the library that reads the store is given, beside what it finds in the environment."""

    @classmethod
    def of(cls, place: Location | os.PathLike[str] | str, options: Options = ()) -> Location:
        """From a path or an address, as a person writes it. Raises UsageError if it looks like an address but
        is not one."""
        if isinstance(place, Location):
            return place
        found = _ADDRESS.fullmatch(place) if isinstance(place, str) else None
        if found is None:
            return cls(os.fspath(place), options)
        scheme = found["scheme"].lower()
        if len(found["slashes"]) < 2:
            raise UsageError(f"{place} is no folder and no address: an address has two slashes, {scheme}://")
        if scheme == "file":
            return cls(_file_path(str(place)), options)
        return cls(f"{scheme}://{_bucket_and_key(found, scheme)}", options)

    @property
    def path(self) -> Path | None:
        """On this machine; None if it is in an object store."""
        return None if "://" in self.address else Path(self.address)

    @property
    def scheme(self) -> str:
        """`s3`, `gs`, `az`, …; empty for a path of this machine."""
        return self.address.partition("://")[0] if self.path is None else ""

    @property
    def bucket(self) -> str:
        """With the scheme; empty for a path of this machine."""
        return "/".join(self.address.split("/", 3)[:3]) if self.path is None else ""

    @property
    def key(self) -> str:
        """The folder in the bucket; empty for the bucket itself."""
        return self.address.removeprefix(self.bucket).strip("/")

    def __str__(self) -> str:
        return self.address

    def absolute(self) -> Location:
        """The location in a form that means the same in every working folder."""
        return self if self.path is None else replace(self, address=str(self.path.absolute()))

    def resolve(self) -> Location:
        """One spelling for each folder."""
        return self if self.path is None else replace(self, address=str(self.path.resolve()))

    def is_same(self, other: Location) -> bool:
        """Whether both are one folder."""
        return self.resolve().address == other.resolve().address

    def way_to(self, target: Location) -> str:
        """From this folder, both resolved: relative where both can be moved together."""
        if self.path is not None and target.path is not None:
            try:
                return Path(os.path.relpath(target.path, self.path)).as_posix()
            except ValueError:  # Windows knows no way between two drives
                return target.path.as_posix()
        if self.path is None and self.bucket == target.bucket:
            return posixpath.relpath(f"/{target.key}", f"/{self.key}")
        return target.address if target.path is None else target.path.as_posix()

    def at(self, way: str) -> Location:
        """Where a way that `way_to` gave leads from here."""
        if _ADDRESS.fullmatch(way):
            return Location.of(way, self.options)
        if self.path is not None:
            return replace(self, address=str((self.path / way).resolve()))
        if Path(way).is_absolute():
            return Location(way)
        key = posixpath.normpath(posixpath.join(f"/{self.key}", way)).strip("/")
        return replace(self, address=f"{self.bucket}/{key}".rstrip("/"))

    def sibling(self, name: str) -> Location:
        """A folder beside this one."""
        if self.path is not None:
            return replace(self, address=str(self.path.parent / name))
        return self.at(f"../{name}") if self.key else self.at(name)

    def child(self, name: str) -> Location:
        """A folder in this one."""
        return replace(self, address=str(self.path / name)) if self.path is not None else self.at(name)

    @property
    def reports(self) -> Path:
        """Where reports about the dataset go: beside it, or into the working folder."""
        return Path() if self.path is None else self.path.parent

    def pairs(self) -> list[str]:
        """The options as `options_of` takes them, with their credentials: for a pipe to a process of ours."""
        return [f"{n}={v.reveal() if isinstance(v, Secret) else v}" for n, v in self.options]

    def given(self) -> dict[str, Any]:
        """The options as the library takes them. What is JSON, as `true`, `8` or `{…}`, is read as JSON."""
        return {name: _given(each) for name, each in self.options}


def _bucket_and_key(address: re.Match[str], scheme: str) -> str:
    """What an address names in its store. Raises UsageError if that cannot be."""
    rest = posixpath.normpath(address["rest"].strip("/") or "..")
    if rest.startswith("..") or len(address["slashes"]) > 2:
        raise UsageError(f"{address[0]} names no bucket: write {scheme}://BUCKET/FOLDER")
    bucket = rest.partition("/")[0]
    if ":" in bucket and "@" in bucket:
        raise UsageError(f"an address of {scheme}:// holds no credentials: give them by --storage-option")
    if "?" in rest or "#" in rest:
        raise UsageError(f"{address[0]}: an address has no ? and no #; options go into --storage-option")
    return rest


def options_of(pairs: Iterable[str]) -> Options:
    """From `KEY=VALUE` texts. A value that may be a credential becomes a `Secret`, also within JSON. Raises
    UsageError if a text is not KEY=VALUE; the message does not show it."""
    found: dict[str, str | Secret] = {}
    for number, pair in enumerate(pairs, 1):
        name, separator, value = pair.partition("=")
        if not separator or not name.strip():
            raise UsageError(f"--storage-option: the value number {number} is not KEY=VALUE")
        found[name.strip()] = _kept(name.strip(), value)
    return tuple(found.items())


def _kept(name: str, text: str) -> str | Secret:
    if is_secret_name(name):
        return Secret(text)
    nested = [Secret(inner) for key, inner in _texts_in(_value(text)) if is_secret_name(key)]
    return Secret(text) if nested else text


def _given(option: str | Secret) -> Any:
    if isinstance(option, Secret):
        text = option.reveal()
        return _value(text) if text.startswith("{") else text  # a key of digits stays a text
    return _value(option)


def is_secret_name(name: str) -> bool:
    """Whether an option may hold a credential, as its name tells."""
    return _MAY_BE_SECRET.search(name) is not None


def _texts_in(value: Any, key: str = "") -> Iterable[tuple[str, str]]:
    """The texts in JSON, each with the key that it stands under."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts_in(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts_in(inner, key)
    elif isinstance(value, str):
        yield key, value


def _value(text: str) -> Any:
    """Read as JSON what looks like it."""
    if text in ("true", "false", "null") or text.startswith("{") or re.fullmatch(r"[1-9]\d{0,8}|0", text):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _file_path(address: str) -> str:
    parts = urlsplit(address)
    if parts.netloc not in ("", "localhost"):
        raise UsageError(f"{address}: a file address has three slashes, file:///FOLDER")
    from urllib.request import url2pathname  # imports HTTP and TLS, which most commands do without

    return url2pathname(parts.path)
