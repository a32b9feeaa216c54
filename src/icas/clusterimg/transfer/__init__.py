"""The only code that changes the result folder: plan, checks, transfer, undo."""
