"""How well a model sounds like its persona: figures from texts, pure, each with an interval."""
