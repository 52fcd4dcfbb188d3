"""Problem sets as people have them: found, read, recognised, checked and surveyed."""
