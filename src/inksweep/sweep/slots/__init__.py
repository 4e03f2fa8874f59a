"""The sweep's process: where jobs are run from."""
