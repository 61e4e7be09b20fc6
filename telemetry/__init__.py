"""What a process tells its operator: logs, a metrics port, and the Pushgateway for jobs."""
