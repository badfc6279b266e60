"""What a user document means: audience, recipient, delivery state; pure, no I/O."""
