"""What `ozh-notify demo` shows: made-up users, both passes, and what is printed of them."""
