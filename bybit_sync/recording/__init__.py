"""Every frame of a client written down, and lived again."""
