"""Makes messages from templates and sends them by the bot; knows nothing of MongoDB."""
