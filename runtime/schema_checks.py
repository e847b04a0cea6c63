"""Checks of settings, whose messages name the key and what was found; `runtime.config` makes bad
input of them."""

from __future__ import annotations

PLACE = {"place": True}
"""Metadata of a key that says where something lies: moving it changes no result."""


def require(condition: bool, message: str) -> None:
    """Raise ValueError unless the condition holds."""
    if not condition:
        raise ValueError(message)


def require_at_least(config: object, section: str, **lowest: float) -> None:
    """Raise ValueError for the first named setting of a section that is below its lowest value."""
    for name, bound in lowest.items():
        value = getattr(config, name)
        require(value >= bound, f"{section}.{name} must be at least {bound}, found {value}")


def require_at_most(config: object, section: str, **highest: float) -> None:
    """Raise ValueError for the first named setting of a section that is above its highest value:
    more has no use, and a stranger's bundle might ask for it."""
    for name, bound in highest.items():
        value = getattr(config, name)
        require(value <= bound, f"{section}.{name} must be at most {bound}, found {value}")


def require_share(share: float, section: str) -> None:
    """Raise ValueError unless the section's `min_decoded_share` is a share."""
    require(0 <= share <= 1, f"{section}.min_decoded_share must be within 0 and 1, found {share}")
