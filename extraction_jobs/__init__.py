"""Batch jobs that make a data set of records out of other people's formats."""
