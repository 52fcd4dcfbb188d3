"""Parallel Coordinated Reasoning (PaCoRe, arXiv 2601.05593) as a resumable batch pipeline."""

__version__ = "0.1.0"
