"""What a process tells its operator: logs, how full volumes are, reports to a Pushgateway."""
