"""inksweep: Hydra-configured hyperparameter sweeps for handwritten-digit classifiers."""
