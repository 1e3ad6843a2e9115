"""What an account of the exchange holds, and what its streams tell of it."""
