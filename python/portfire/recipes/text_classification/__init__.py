"""Text classifiers trained from scratch: names, sentiment and any table of texts with labels."""
