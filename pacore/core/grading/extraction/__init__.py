"""Extracts the answer that a conclusion states, and how it states it."""
