"""Serving under a path of the host: requests arrive with the path or, from a proxy that strips it, without."""

from collections.abc import Callable
from typing import Any

# a WSGI application; its answer may have `close`
Application = Callable[[dict[str, Any], Any], Any]


def under_path(application: Application, path: str) -> Application:
    """The application, given each request's address without `path`, which is "" or begins with a slash."""
    if not path:
        return application

    def stripped(environ: dict[str, Any], start_response: Any) -> Any:
        asked = environ.get("PATH_INFO", "")
        if asked == path or asked.startswith(f"{path}/"):
            environ = {**environ, "PATH_INFO": asked.removeprefix(path) or "/"}
        return application({**environ, "SCRIPT_NAME": path}, start_response)

    return stripped
