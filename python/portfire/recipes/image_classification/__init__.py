"""Image classifiers trained from scratch: digits, MNIST and any folder of class folders."""
