"""The registry of rules; a test runs every one of them alone."""

from __future__ import annotations

from derive.derivation import Rule, known

REGISTRY: dict[str, Rule] = {}


def register(rule: Rule) -> Rule:
    """Add a rule under its name, which must be new."""
    if rule.name in REGISTRY:
        raise ValueError(f"two rules are named '{rule.name}'")
    REGISTRY[rule.name] = rule
    return known(rule)
