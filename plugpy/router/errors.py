"""Errors of a router that is declared or used wrongly. Raised at start, not by requests."""


class InvalidSpecError(ValueError):
    """A path pattern that means nothing (Plug.Router.InvalidSpecError)."""


class UnknownRouteError(LookupError):
    """No route has the name that a URL was asked for."""
