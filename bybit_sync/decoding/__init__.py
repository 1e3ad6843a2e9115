"""From JSON to the model: exact, open to new words, one bad row at a time."""
