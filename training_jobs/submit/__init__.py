"""The owner's command that makes a bot on a cluster learn. It runs on the owner's machine."""

from training_jobs.model_libraries import require_training_packages

require_training_packages("kubernetes")
