"""Checks: one figure against its limit. Pure; what a limit is worth is the matter of whoever sets it."""

from __future__ import annotations

from shared.records.render import Check

_ROUNDING = 1e-6


def equal(name: str, measured: object, expected: object) -> Check:
    return Check(name=name, passed=measured == expected, measured=measured, limit=expected)


def near(name: str, measured: float, wanted: float, tolerance: float) -> Check:
    passed = abs(measured - wanted) <= tolerance + _ROUNDING
    return Check(name=name, passed=passed, measured=measured, limit=f"{wanted:g} ± {tolerance:.4g}")


def at_most(name: str, measured: float, most: float) -> Check:
    return Check(name=name, passed=measured <= most + _ROUNDING, measured=measured, limit=f"at most {most:g}")


def at_least(name: str, measured: float, least: float) -> Check:
    return Check(name=name, passed=measured >= least - _ROUNDING, measured=measured, limit=f"at least {least:g}")


def told(name: str, measured: float) -> Check:
    """What is measured and may be anything."""
    return Check(name=name, passed=True, measured=measured, limit="any")
