"""Text generation: language models that keep what they have seen."""
