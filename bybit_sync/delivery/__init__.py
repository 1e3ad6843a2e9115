"""The way of an event from the connection thread to its consumer, and gaps for what is lost."""
