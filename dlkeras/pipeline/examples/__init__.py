"""Examples: where they come from, how they are kept and read, what is known of them."""
