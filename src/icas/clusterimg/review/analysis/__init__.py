"""What helps to review: similarities, questions, quality; computed in the background."""
