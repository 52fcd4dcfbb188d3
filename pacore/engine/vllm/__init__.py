"""vLLM servers that pacore starts, watches and ends."""
