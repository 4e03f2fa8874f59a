"""Run directories, written and read back: plain files, without torch, Hydra or Optuna."""
