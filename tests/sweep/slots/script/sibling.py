"""A module beside the script."""

STATE = "as imported"


def square(x):
    return x * x
