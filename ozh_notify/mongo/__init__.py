"""Every query and the MongoDB client; no decision about who gets a message."""
