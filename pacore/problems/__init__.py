"""Problem sets: finds files, reads rows, recognises their layout, checks and surveys them."""
