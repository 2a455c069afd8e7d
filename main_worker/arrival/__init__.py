"""Drops as they arrive in ``raw/``: seen, waited for, and ready when they have proved to be complete."""
