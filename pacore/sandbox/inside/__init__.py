"""What runs inside the sandbox, on whatever Python the machine has: the standard library only."""
