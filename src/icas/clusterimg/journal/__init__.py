"""The record of what a run plans and changes in its result folder."""
