"""Properties that are computed once for each object."""

from neptune_exporter.toolkit.cached import cached_property


class Counted:
    def __init__(self) -> None:
        self.calls = 0

    @cached_property
    def value(self) -> int:
        self.calls += 1
        return 10 * self.calls


def test_it_is_computed_once_for_each_object() -> None:
    one, other = Counted(), Counted()
    assert (one.value, one.value, one.calls, other.calls) == (10, 10, 1, 0)
    del one.value
    assert (one.value, other.value) == (20, 10)
    assert isinstance(Counted.value, cached_property)
