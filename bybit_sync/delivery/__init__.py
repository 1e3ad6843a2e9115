"""From the connection thread to a consumer: who receives what, what waits, and how a loss is told."""
