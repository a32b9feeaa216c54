"""Must-link, cannot-link and reject constraints: stored, and applied to the images of a run."""
