"""Batch jobs that turn a data set into a published model version. The only room with torch."""
