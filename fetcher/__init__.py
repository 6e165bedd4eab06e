"""What talks to upstream registries; the only part with credentials and a way out."""
