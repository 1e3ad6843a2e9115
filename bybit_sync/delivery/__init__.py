"""From the connection thread to a consumer, with gaps for lost events."""
