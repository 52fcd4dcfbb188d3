"""Engines: whatever turns a request into a generation, behind one protocol."""
