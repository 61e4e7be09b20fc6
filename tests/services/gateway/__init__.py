"""The gateway, through a real Bot, a real gRPC service and a real database."""
