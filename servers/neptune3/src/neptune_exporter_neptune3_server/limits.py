"""How much one request may ask for, and one answer hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What is above a limit of a request is answered with 400 (413 for `signed_urls`).

    The defaults are the sizes that neptune-query 1.14 keeps to (`env.py`, `metrics.py`);
    the real server's own are not published and at least as large.
    """

    points: int = 1_000_000
    """Float points of an answer: series × perSeriesPointsLimit."""
    series: int = 10_000
    """Series of a request."""
    name_bytes: int = 220_000
    """Attribute names of a series request, together; of an attribute request, with 50 bytes for each run."""
    filter_bytes: int = 120_000
    """Regular expressions of an attribute filter, together."""
    page: int = 10_000
    """Runs, definitions or attribute values that a request may ask for at once."""
    projection: int = 1_002
    """Attributes of a search: 1,000 and the two that the client adds."""
    signed_urls: int = 1_000
    """Files of a request for signed URLs."""
    values_per_answer: int = 10_000
    """Attribute values of an answer, if fewer than the request asks for: the next page has the rest."""
    objects_per_answer: int = 10_000
    """Points of string, histogram and file series in an answer."""
