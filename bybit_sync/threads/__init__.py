"""Waking, waiting and fair locks: what threads need of each other, below everything else."""
