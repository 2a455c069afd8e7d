"""Clips that are conformed once, kept, cut at anchors and joined by stream copy."""
