"""``make bench``: how fast, how lean, beside what others do in the same minutes."""
