"""What can go wrong, done on purpose to the installed command: ``python -m tests.torture``.

Real processes, a real server over the wire, a Bot API over HTTP. Afterwards `checker` compares
what the chats received with what the database says, without any of the program's own code.
"""
