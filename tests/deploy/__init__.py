"""What deploy/ says, checked with the tools of those who will read it."""
