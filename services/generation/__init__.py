"""The generation service: turns in, reply out, over gRPC."""
