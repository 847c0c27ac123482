"""Text tables and generators of the demo model's training corpus."""
