"""How the slots of a round are filled: from the journal, by requests, and under a rule that stops early."""
