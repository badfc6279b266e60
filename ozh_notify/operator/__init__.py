"""What a person asks and decides between passes; no flags, no printing."""
