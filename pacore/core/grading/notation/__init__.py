"""Parses mathematical notation of people and models to expressions, or refuses it."""
