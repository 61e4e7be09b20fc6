"""What a process tells its operator: logs, and reports of jobs to a Pushgateway."""
