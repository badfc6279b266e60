"""A Bot API server for tests and the demo, with Telegram's checks, texts and failures.

``python -m ozh_notify.sandbox.botapi --token 123456:ABC`` runs it as a process of its own;
`client.run` does so from a test; `server.start` runs it inside an event loop.
"""
