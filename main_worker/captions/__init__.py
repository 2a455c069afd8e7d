"""Captions: what is said in a voice, and when."""
