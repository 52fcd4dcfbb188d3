"""vLLM servers that pacore starts, monitors and ends."""
