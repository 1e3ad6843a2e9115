"""Recipes: the library together with others."""
