"""What the evaluation job measures: how well a fine-tuned model sounds like its persona."""
