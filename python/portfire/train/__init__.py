"""The training library: what every recipe shares. docs/training.md says how to use it.

portfire-train image-classification --preset digits-cnn
"""
