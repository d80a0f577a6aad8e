"""The components: one file each, with what it reads and what it writes."""
