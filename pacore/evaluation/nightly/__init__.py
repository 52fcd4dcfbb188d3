"""Beside a night's decision: what changed since its baseline, and which runs of old nights are kept."""
