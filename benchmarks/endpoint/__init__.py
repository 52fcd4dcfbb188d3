"""A simulated vLLM server, for measuring what schedules requests: `batching` is its model of continuous
batching, `lengths` how long trajectories are, `server` the OpenAI-compatible interface in front of both.
"""
