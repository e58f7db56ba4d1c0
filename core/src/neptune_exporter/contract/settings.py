"""Settings of a plugin: one dataclass gives the flags, the variables, the TOML keys, the help and the checks.

A plugin declares a frozen dataclass whose fields are made with `setting`. For the plugin `pluto`, the field
`log_every` becomes the flag `--pluto-log-every`, the variable `NEPTUNE_EXPORTER_PLUTO_LOG_EVERY` and the key
`log_every` of the table `[pluto]` in `neptune-exporter.toml`. Field types: `str`, `int`, `float`, `bool`,
`Path`, `Secret`, each also `| None`, and `tuple[str, ...]` for what may be given several times. A dataclass
may check combinations in `__post_init__` and raise `UsageError`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from neptune_exporter.redaction import remember

METADATA_KEY = "neptune_exporter.setting"


class Secret:
    """A value that no repr, log, error, receipt or report ever shows. `reveal()` gives it.

    As soon as it exists, core also removes its value from everything that other code writes. A
    plugin that finds a credential by itself must make it a `Secret` before using it.

    Examples:
        >>> token = Secret("key-7Qx4")
        >>> print(f"the server refused {token}")
        the server refused Secret(***)
        >>> headers = {"Authorization": f"Bearer {token.reveal()}"}
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        remember(value)

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return Secret, (self._value,)  # a worker process makes it again, and so remembers it

    def reveal(self) -> str:
        return self._value

    def as_token(self) -> str | None:
        """The value without white space around it; None if nothing is left, or it holds a character that no
        token has.

        Examples:
            >>> Secret("key-7Qx4\\n").as_token(), Secret("key 7Qx4").as_token(), Secret(" ").as_token()
            ('key-7Qx4', None, None)
        """
        token = self._value.strip()
        return token if token and token.isascii() and token.isprintable() and " " not in token else None

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True)
class SettingInfo:
    """What `setting` records of a field, beyond its type and default.

    Examples:
        >>> from dataclasses import dataclass, fields
        >>> @dataclass(frozen=True)
        ... class AcmeSettings:
        ...     batch: int = setting(default=100, help="Points a request.", minimum=1)
        >>> fields(AcmeSettings)[0].metadata[METADATA_KEY].minimum
        1
    """

    help: str
    flag: str | None = None
    """A flag of its own instead of `--<plugin>-<field>`; plugins may share one (`--api-token`)."""
    env: tuple[str, ...] = ()
    """Variables of the vendor, read where `NEPTUNE_EXPORTER_<PLUGIN>_<FIELD>` is not set."""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()


def setting(
    *,
    default: Any = dataclasses.MISSING,
    help: str,
    flag: str | None = None,
    env: Sequence[str] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[str] = (),
) -> Any:
    """A field of a settings dataclass. Without a default the setting is required.

    Examples:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class AcmeSettings:
        ...     url: str = setting(help="Address of the server.", env=["ACME_URL"])
        ...     batch: int = setting(default=100, help="Points a request.", minimum=1)
        >>> AcmeSettings("https://acme.example.com").batch
        100
    """
    info = SettingInfo(help, flag, tuple(env), minimum, maximum, tuple(choices))
    return dataclasses.field(default=default, metadata={METADATA_KEY: info})


@dataclass(frozen=True)
class NoSettings:
    """For plugins without settings.

    Examples:
        >>> SourceSpec("acme", "runs of an Acme server", lambda settings: AcmeSource()).settings()
        NoSettings()
    """
