"""What a client can be told: environments, times, and what an argument must be."""
