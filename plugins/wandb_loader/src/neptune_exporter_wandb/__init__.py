"""Loads exported runs into Weights & Biases: run folders that `wandb sync` takes, or sent at once."""
