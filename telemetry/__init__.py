"""What a process tells its operator: logs, reports of jobs to a Pushgateway, how full volumes are."""
