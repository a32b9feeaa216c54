"""ONNX networks: run without torch, features of their inner stages, and files of known networks."""
