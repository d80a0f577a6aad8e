"""The parts of `dlkeras.transfer`: what is frozen, how fast it learns, what is kept."""
