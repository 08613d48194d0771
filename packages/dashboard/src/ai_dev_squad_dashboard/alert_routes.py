"""Acting on alerts: rules of the page, and tests of receivers. From the page's forms, and for programs."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g, redirect, request
from werkzeug.exceptions import BadRequest

from .alerts import RuleFileError
from .alerts.alerting import Alerting
from .api import json_object, json_response
from .page import NotFoundError, Site, asked
from .pages import render
from .query import QueryError
from .views.alerts import PAGE

__all__ = ["create_blueprint"]


def create_blueprint(site: Site) -> Blueprint:
    """``POST`` on ``/alerts/…`` from forms; ``PUT`` and ``DELETE`` on a rule, ``POST`` on a receiver's test from programs."""
    blueprint = Blueprint("alerting", __name__)

    def alerting() -> Alerting:
        if site.alerting is None:
            raise NotFoundError("this dashboard watches nothing")
        return site.alerting

    def dropped(name: str) -> None:
        if not alerting().drop_rule(name):
            raise NotFoundError(
                f"no rule {name!r} was made on the page; a rule of the file is deleted there, and the file read again"
            )

    def tested(name: str) -> str | None:
        try:
            return alerting().test(name)
        except KeyError:
            raise NotFoundError(f"no receiver {name!r} stands in the file of rules") from None

    @blueprint.post("/alerts/rules")
    def make() -> Any:
        try:
            alerting().make_rule(_written(request.form))
        except (RuleFileError, QueryError) as error:
            # The page again, with what was written and what is wrong with it.
            g.alert_problem = str(error)
            return render(site, PAGE, asked(PAGE.default_range), {})[1], 400
        return redirect("/alerts", 303)

    @blueprint.post("/alerts/rules/delete")
    def drop() -> Any:
        dropped(request.form.get("name", ""))
        return redirect("/alerts", 303)

    @blueprint.post("/alerts/test")
    def test() -> Any:
        tested(request.form.get("receiver", ""))
        return redirect("/alerts", 303)

    @blueprint.put("/api/alerts/rules/<rule>")
    def put(rule: str) -> Response:
        body = json_object()
        if body is None:
            raise BadRequest('The body is no JSON object; send one like {"measure": "cost_usd", "above": 5}.')
        try:
            made = alerting().make_rule({**body, "name": rule})
        except RuleFileError as error:
            raise QueryError(str(error)) from None
        return json_response({"name": made.name})

    @blueprint.delete("/api/alerts/rules/<rule>")
    def delete(rule: str) -> Response:
        dropped(rule)
        return json_response({"name": rule})

    @blueprint.post("/api/alerts/receivers/<receiver>/test")
    def send_test(receiver: str) -> Response:
        problem = tested(receiver)
        return json_response({"sent": problem is None, "problem": problem})

    return blueprint


def _written(form: Any) -> dict[str, Any]:
    """A rule as the page's form writes it. Raises ``QueryError``."""
    text: dict[str, Any] = {"name": form.get("name", "").strip(), "measure": form.get("measure", "")}
    for name in ("of", "over", "severity", "note"):
        value = form.get(name, "").strip()
        if value:
            text[name] = value
    threshold = form.get("threshold", "").strip()
    if threshold:
        try:
            text["below" if form.get("side") == "below" else "above"] = float(threshold)
        except ValueError:
            raise QueryError(f"the threshold {threshold[:40]!r} is no number; write one like 5 or 0.25") from None
    by = [value for value in form.getlist("by") if value]
    if by:
        text["by"] = by
    if form.get("where_value", "").strip():
        text["where"] = {form.get("where_name", ""): form["where_value"].strip()}
    notify = [value for value in form.getlist("notify") if value]
    if notify:
        text["notify"] = notify
    return text
