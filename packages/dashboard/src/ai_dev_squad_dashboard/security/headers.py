"""What browsers are told about every response."""

from __future__ import annotations

from typing import Final

from werkzeug.datastructures import Headers

__all__ = ["POLICY", "secure"]

_SOURCES: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",  # WebSockets of the same origin included
    "manifest-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
POLICY: Final = "; ".join(f"{directive} {sources}" for directive, sources in _SOURCES.items())
"""Nothing inline, nothing from elsewhere: should hostile text ever become markup, it cannot run and cannot report."""

_FIXED: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # URLs hold session names and searches. `no-referrer` would also take the Origin from our own forms.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), hid=(), midi=(), "
        "display-capture=(), clipboard-read=(), clipboard-write=(self)"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def secure(headers: Headers, *, static: bool = False) -> None:
    """Complete the headers of a response. ``static``: a file of the package, which says itself for how long it may be kept."""
    for name, value in _FIXED.items():
        headers[name] = value
    if not static:
        # Neither the browser nor a proxy keeps what somebody might see after a logout.
        headers["Cache-Control"] = "no-store"
