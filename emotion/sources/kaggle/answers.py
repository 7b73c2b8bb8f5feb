"""What an answer or a broken connection says. Addresses and tokens are secrets and never part of it."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import requests
import urllib3


def retry_after_s(response: requests.Response) -> float:
    """Seconds that the server asks to wait, given as a number or a date; 0 when it does not say."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):  # no date, or one without a time zone
        return 0.0


def content_type(response: requests.Response) -> str:
    """The media type, without its parameters."""
    return response.headers.get("Content-Type", "no content type").partition(";")[0]


def reason(error: BaseException) -> str:
    """Why a connection failed. Made from the kinds of the errors alone: their texts quote the address."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    proxied = _any(causes, requests.exceptions.ProxyError)
    through = "the proxy of the environment (HTTPS_PROXY, HTTP_PROXY): " if proxied else ""
    if _any(causes, urllib3.exceptions.NameResolutionError):
        return f"{through}its name is not known: is this machine online?"
    if _any(causes, ConnectionRefusedError):
        return f"{through}the connection was refused"
    if _any(causes, requests.exceptions.SSLError):
        return f"{through}its certificate was not accepted (REQUESTS_CA_BUNDLE names that of a proxy in between)"
    if _any(causes, TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError):
        return f"{through}no answer in time"
    return f"{through}the connection broke"


def host(error: BaseException) -> str | None:
    """The host that was asked: all that may be shown of an address."""
    request = getattr(error, "request", None)
    return urlsplit(request.url).hostname if request is not None else None


def _any(errors: list[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(error, kinds) for error in errors)
