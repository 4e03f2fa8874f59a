"""The target of a sweep."""

import pytest

from inksweep.report.facts.quantity import quantity
from inksweep.report.facts.target import Target


@pytest.mark.parametrize(
    "maximize, value, reached",
    [(True, 0.99, True), (True, 0.98, False), (False, 0.97, True), (False, 0.98, False), (True, None, False)],
)
def test_a_target_is_to_be_passed_not_met(maximize, value, reached):
    assert Target(quantity("test/accuracy"), 0.98, maximize).reached(value) is reached
