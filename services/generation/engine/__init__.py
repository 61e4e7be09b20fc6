"""Runs OpenVINO pipelines in a child process of their own.

`step()` of a pipeline holds the interpreter's lock, so the gRPC process never imports
openvino_genai: it sends commands to the child and gets events back.
"""

from services.generation.engine.engine import Engine, EngineDown, LoadFailed
from services.generation.engine.protocol import Draw, Event, Finish, Job, Options, Stepped

__all__ = [
    "Draw",
    "Engine",
    "EngineDown",
    "Event",
    "Finish",
    "Job",
    "LoadFailed",
    "Options",
    "Stepped",
]
