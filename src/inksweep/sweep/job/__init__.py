"""The trial's process: a job is composed, run and watched there."""
