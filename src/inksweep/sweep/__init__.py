"""The engine of a sweep: knows Optuna and Hydra, never torch."""
