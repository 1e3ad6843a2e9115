"""The books of a simulated account, and the rows that its streams push."""
