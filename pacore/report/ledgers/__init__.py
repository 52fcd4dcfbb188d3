"""Pages of what is kept beside runs: the ledger of nights, and training sets."""
