"""Shared by both commands: options, parsers, programs, console output, display detection."""
