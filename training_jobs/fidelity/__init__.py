"""How well a fine-tuned model sounds like its persona: what the evaluation job measures."""
