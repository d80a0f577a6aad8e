"""Parts of an architecture's diagram: what a layer looks like, and blocks of layers."""
