"""What is written of the parsers: completion for shells, man pages, the reference."""
