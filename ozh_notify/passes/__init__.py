"""One pass: sweep, scan, claim, send, confirm; no vendor package."""
