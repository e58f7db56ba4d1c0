"""Lines of a kind become one, with a number and an example."""

from __future__ import annotations

from neptune_exporter.reporters.grouping import FEW, Line, grouped


def test_many_runs_with_one_problem_are_one_line() -> None:
    lines = [Line(f"acme/p:RUN-{n}", "is missing", f"acme_p/RUN-{n}_part_0.parquet") for n in range(3000)]
    assert grouped(lines) == [
        "3,000 runs: is missing (for example acme/p:RUN-0: acme_p/RUN-0_part_0.parquet)"
    ]
    assert len(grouped(lines, show_all=True)) == 3000


def test_files_of_a_run_are_counted_whatever_their_attributes_are_called() -> None:
    names = ["model", "weights", "config", "log"]
    lines = [Line("acme/p:RUN-1", "is missing: restore", f"x/{n}.bin of {n}", noun="file") for n in names]
    several = "4 files of acme/p:RUN-1 are missing: restore (for example x/model.bin of model)"
    assert grouped(lines) == [several]
    others = [Line("acme/p:RUN-2", "is missing: restore", f"y/{n}.bin of {n}", noun="file") for n in names]
    assert grouped([*lines, *others]) == [
        "8 files of 2 runs are missing: restore (for example acme/p:RUN-1: x/model.bin of model)"
    ]
    assert grouped(lines[:1]) == ["acme/p:RUN-1: x/model.bin of model is missing: restore"]


def test_numbers_and_paths_may_differ() -> None:
    lines = [Line(f"RUN-{n}", f"/d/RUN-{n}_part_0.parquet has {n + 5:,} bytes") for n in range(1200)]
    assert grouped(lines) == ["1,200 runs, for example RUN-0: /d/RUN-0_part_0.parquet has 5 bytes"]


def test_few_lines_and_other_texts_stay_apart() -> None:
    lines = [Line(f"RUN-{n}", "is missing", "part 0") for n in range(FEW)]
    assert grouped(lines) == [f"RUN-{n}: part 0 is missing" for n in range(FEW)]
    other = Line("RUN-9", "changed", "part 0")
    assert grouped([*lines, lines[0], other]) == [
        "4 times in 3 runs: is missing (for example RUN-0: part 0)",
        "RUN-9: part 0 changed",
    ]


def test_a_text_without_a_subject_or_of_an_attribute() -> None:
    assert grouped([Line("", "a stray folder")]) == ["a stray folder"]
    assert grouped([Line("RUN-1", "HTTP 500", "lr", is_sentence=False)]) == ["RUN-1 lr: HTTP 500"]
    lines = [Line(f"RUN-{n // 2}", "HTTP 500", f"m{n}", is_sentence=False) for n in range(8)]
    assert grouped(lines) == ["8 times in 4 runs: HTTP 500 (for example RUN-0 m0)"]
