"""Local web server and its pages."""
