"""Waking, waiting and fair locks, below everything else."""
