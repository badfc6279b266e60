"""Templates, Telegram's HTML and the bot; no MongoDB."""
