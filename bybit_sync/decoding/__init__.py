"""Decode JSON into the model: numbers stay exact, new words are accepted, a bad row costs only itself."""
