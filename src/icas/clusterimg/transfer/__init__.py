"""The only code that changes result folders: plan, check, journal, execute, undo."""
