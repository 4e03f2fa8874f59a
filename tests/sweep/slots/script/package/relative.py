"""Imported with a leading dot."""


def square(x):
    return x * x
