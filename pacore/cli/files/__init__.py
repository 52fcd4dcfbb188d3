"""Commands that take their settings from a YAML file."""
