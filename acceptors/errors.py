"""What can be wrong with a listener."""


class OptionError(ValueError):
    """An option that a listener can't be started with; `option` is its name (Ranch bad_option)."""

    def __init__(self, option: str, message: str) -> None:
        super().__init__(f"{option}: {message}")
        self.option = option


class NoListenerError(LookupError):
    """There is no listener of that name in this event loop."""


class AlreadyStartedError(ValueError):
    """A listener of that name runs in this event loop already."""
