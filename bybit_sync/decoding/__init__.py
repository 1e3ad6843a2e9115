"""Decode JSON into the model.

Numbers stay exact, new words are accepted, a bad row costs only itself.
"""
