"""Did the messages bring people back: arms, goals, intervals and the report; pure, no I/O."""
