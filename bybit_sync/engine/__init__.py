"""The connection thread: it connects, connects again after failures, and ends."""
