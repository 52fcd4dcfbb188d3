"""Stopping rules replayed over stored pools: what they would have cost and changed, generating nothing."""
