"""Repeatable measurements: each is one command and prints ratios to a baseline measured in the same run."""
