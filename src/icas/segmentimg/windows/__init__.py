"""The windows for painting and annotating: events become commands, views are redrawn."""
