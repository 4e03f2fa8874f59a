"""`python -m inksweep`: the `inksweep` command, for where its script is not at hand."""

from inksweep.cli import main

if __name__ == "__main__":
    main()
