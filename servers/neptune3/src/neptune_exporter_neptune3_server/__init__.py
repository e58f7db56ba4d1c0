"""A local Neptune 3 server, for tests of anything that reads Neptune 3."""

from .auth import EXCHANGE_PATH, TOKEN_PATH
from .files import STORAGE_PATH, ObjectStore, Provider
from .limits import Limits
from .model import (
    FakeFile,
    FakeProject,
    FakeRun,
    FileSeries,
    FloatSeries,
    Histogram,
    HistogramSeries,
    OtherValue,
    StringSeries,
    Value,
)
from .server import (
    DEFINITIONS_PATH,
    FLOATS_PATH,
    GLOBAL_SEARCH_PATH,
    SEARCH_PATH,
    SERIES_PATH,
    SIGN_PATH,
    VALUES_PATH,
    Neptune3Server,
    token_malformed,
)
from .synthetic import synthetic_project

__all__ = [
    "DEFINITIONS_PATH",
    "EXCHANGE_PATH",
    "FLOATS_PATH",
    "GLOBAL_SEARCH_PATH",
    "SEARCH_PATH",
    "SERIES_PATH",
    "SIGN_PATH",
    "STORAGE_PATH",
    "TOKEN_PATH",
    "VALUES_PATH",
    "FakeFile",
    "FakeProject",
    "FakeRun",
    "FileSeries",
    "FloatSeries",
    "Histogram",
    "HistogramSeries",
    "Limits",
    "Neptune3Server",
    "ObjectStore",
    "OtherValue",
    "Provider",
    "StringSeries",
    "Value",
    "synthetic_project",
    "token_malformed",
]
