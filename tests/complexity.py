"""Share of functions that are hard to follow: cyclomatic complexity of 10 or more, as radon counts it.

`nox -s complexity` runs this over everything that is shipped. It prints the share and the most complex
functions, and fails if the share is above the limit.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from radon.complexity import cc_visit
from radon.visitors import Class, Function

ROOT = Path(__file__).parent.parent
COMPLEX = 10
"""Radon's rank C begins at 11; most linters warn from 10 on."""
LIMIT = 0.03
SHOWN = 20


class Measured(NamedTuple):
    complexity: int
    place: str


def functions(block: Class | Function) -> Iterator[Function]:
    """A function with those inside it, or the methods of a class."""
    if isinstance(block, Function):
        yield block
        inner = block.closures
    else:
        inner = [*block.methods, *block.inner_classes]
    yield from chain.from_iterable(map(functions, inner))


def measure(file: Path) -> Iterator[Measured]:
    """Every function and method of a file, once."""
    # Radon lists each method twice: by itself, and in its class.
    blocks = [b for b in cc_visit(file.read_text(encoding="utf-8")) if not getattr(b, "is_method", False)]
    for function in chain.from_iterable(map(functions, blocks)):
        place = f"{file.relative_to(ROOT)}:{function.lineno} {function.fullname}"
        yield Measured(function.complexity, place)


def main() -> int:
    sources = [ROOT / "core/src", *ROOT.glob("plugins/*/src"), *ROOT.glob("servers/*/src")]
    files = chain.from_iterable(source.rglob("*.py") for source in sources)
    measured = sorted(chain.from_iterable(map(measure, files)), reverse=True)
    complex_ones = [each for each in measured if each.complexity >= COMPLEX]
    share = len(complex_ones) / len(measured)
    for each in complex_ones[:SHOWN]:
        print(f"{each.complexity:3} {each.place}")
    print(
        f"{len(complex_ones)} of {len(measured)} functions have a complexity of {COMPLEX} or more: "
        f"{share:.2%}, and at most {LIMIT:.0%} may"
    )
    return int(share > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
