"""Objects of the script go by name, so that each side has one class, and others whole."""

import pickle
import sys
from functools import wraps
from types import ModuleType

import pytest

from inksweep.errors import InputError
from inksweep.sweep.job import script

CODE = """
import functools

class Point:
    class Inner:
        pass

def wrapped(function):
    @functools.wraps(function)
    def run():
        return function
    return run

@wrapped
def task():
    return Point

def outer():
    def local():
        return Point
    return local
"""


@pytest.fixture
def main(monkeypatch):
    """Put a script of our own in the place of the main module."""
    module = ModuleType("__main__")
    module.__file__ = "app.py"
    exec(CODE, module.__dict__)
    monkeypatch.setitem(sys.modules, "__main__", module)
    return module


def sent(value):
    return pickle.loads(script.dumps(value))


def test_classes_and_functions_are_the_same_on_each_side(main):
    assert sent(main.Point) is main.Point
    assert sent(main.Point.Inner) is main.Point.Inner
    assert type(sent(main.Point())) is main.Point
    # Hydra's decorator keeps the task inside.
    assert sent(main.task.__wrapped__) is main.task.__wrapped__
    assert sent(main.task) is main.task


def test_what_has_no_name_is_sent_whole_and_refers_to_what_has_one(main):
    local = main.outer()
    assert sent(local) is not local
    assert sent(local)() is main.Point


def test_a_name_that_another_object_has_by_now_is_not_used(main):
    old = main.Point
    main.Point = int
    assert sent(old) is not int


def test_what_the_script_has_only_where_it_was_started_is_named(main):
    pickled = script.dumps(main.Point)
    del main.Point
    with pytest.raises(InputError, match=r"^Point: is not there when app\.py is imported"):
        pickle.loads(pickled)


def test_a_decorator_of_the_standard_library_is_looked_through(main):
    @wraps(main.Point)
    def other():
        pass

    main.Point, point = other, main.Point
    assert sent(point) is point


@pytest.mark.parametrize(
    ("code", "is_refused"),
    [
        ("main()", True),
        ("print(__name__)\nmain()", True),
        ('if __name__ == "__main__":\n    main()', False),
        ('if "__main__" == __name__: main()', False),
        ("if __name__ in ('__main__', 'app'): main()", False),
        ("not of Python's", False),
    ],
)
def test_a_script_that_would_start_again_when_it_is_imported_is_refused(main, tmp_path, code, is_refused):
    (tmp_path / "app.py").write_text(code)
    main.__file__ = str(tmp_path / "app.py")
    if not is_refused:
        script.check_guard()
        return
    with pytest.raises(InputError, match=r"app\.py: calls its main also when it is imported"):
        script.check_guard()


def test_what_was_typed_at_a_prompt_is_sent_whole(main):
    del main.__file__
    script.check_guard()
    assert sent(main.outer) is not main.outer
