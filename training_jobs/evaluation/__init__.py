"""What the evaluation job measures: whether a model answers and sounds like its persona."""
