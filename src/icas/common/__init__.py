"""What both halves of icas share, and nothing else."""
