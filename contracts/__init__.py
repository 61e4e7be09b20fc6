"""What passes between the rooms: turns, data sets, prompts, model versions, bot files.

No I/O but files; the standard library, pydantic (with its settings) and a YAML parser only.
"""
