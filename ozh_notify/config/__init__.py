"""One frozen value from the environment and `.env`; nothing else reads the environment."""
