"""Measurements that anyone can repeat: each is a command, prints ratios against a baseline of the same run."""
