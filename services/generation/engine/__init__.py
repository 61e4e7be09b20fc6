"""Runs OpenVINO pipelines in a child process of their own.

A pipeline's `step()` holds the interpreter's lock, so the gRPC process never imports
openvino_genai: it sends commands to the child and receives events. Nothing is imported here, so
that the child starts without what only the gRPC process needs.
"""
