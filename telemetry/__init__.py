"""What the operator sees of a process: logs, metrics of volumes, and the frame of a batch job."""
