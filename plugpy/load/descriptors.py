"""Room for the connections: the limit of open files (getrlimit(2), RLIMIT_NOFILE)."""

from typing import Final

from plugpy.load.errors import LoadError

RESERVED: Final = 64
"""Files beside the connections: the loop's own, standard streams, libraries being imported."""


def make_room(connections: int) -> None:
    """Raise the soft limit of open files so that `connections` fit.

    Raises LoadError where the hard limit does not allow it. Does nothing where there is no such
    limit (Windows).
    """
    try:
        import resource
    except ImportError:
        return
    needed = connections + RESERVED
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= needed:
        return
    if hard != unlimited and hard < needed:
        raise LoadError(
            f"{connections} connections need {needed} open files, and the hard limit is {hard}: "
            f"take at most {max(hard - RESERVED, 1)} connections or raise it (ulimit -Hn {needed})"
        )
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (OSError, ValueError) as error:
        raise LoadError(
            f"{connections} connections need {needed} open files, the limit is {soft} and can't "
            f"be raised ({error}): raise it with ulimit -n {needed}"
        ) from None
