"""How cookies are set, so that all of them are set the same way."""

from __future__ import annotations

from werkzeug.wrappers import Response

__all__ = ["drop_cookie", "set_cookie"]


def set_cookie(response: Response, name: str, value: str, *, tls: bool, max_age_s: int | None = None) -> None:
    """A cookie that scripts cannot read and other sites cannot use for changing anything.

    SameSite is Lax, not Strict: views are shared by link, and with Strict a link from a chat or an issue would lead to the login
    page. Lax sends the cookie along only when somebody navigates here, which changes nothing; what changes something
    needs a form token and an Origin of ours besides.
    """
    response.set_cookie(name, value, max_age=max_age_s, path="/", secure=tls, httponly=True, samesite="Lax")


def drop_cookie(response: Response, name: str, *, tls: bool) -> None:
    """Make the browser forget a cookie."""
    response.delete_cookie(name, path="/", secure=tls, httponly=True, samesite="Lax")
