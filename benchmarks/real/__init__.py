"""Real vLLM, for measuring beside it: `server` starts one and reads its counts, `workloads` makes the same
requests for all, `subjects` are vLLM's own ways to be used, each as a process that stays.
"""
