"""The screen: windows of OpenCV, their places, and the wheel under X11."""
