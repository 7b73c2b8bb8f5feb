"""Kaggle's API, asked for one dataset."""

import functools
import re
from collections.abc import Callable
from typing import Any, TypeVar

import requests

from emotion.foundation.errors import UserError
from emotion.sources.kaggle.answers import content_type, host, reason, retry_after_s
from emotion.sources.kaggle.login import config_dir, find_logins
from emotion.sources.kaggle.retries import PassingError, Patience, patiently, within

T = TypeVar("T")
REFERENCE = re.compile(
    r"([a-z0-9][\w.-]*)/([a-z0-9][\w.-]*)(?:/(?:versions/)?([1-9]\d{0,8}))?", re.ASCII | re.IGNORECASE
)


class Site:
    """Kaggle's API for one dataset, asked through the kaggle package's client with the first login that was found."""

    def __init__(self, reference: str, patience: Patience):
        matched = REFERENCE.fullmatch(reference)
        assert matched
        self.owner, self.slug = matched[1], matched[2]
        self.version = int(matched[3]) if matched[3] else None
        self._patience = patience
        self._logins, self._notes = find_logins()

    def latest_version(self) -> int:
        """Ask which version is the current one. Raises UserError."""
        from kagglesdk.datasets.types.dataset_api_service import ApiGetDatasetRequest

        request = ApiGetDatasetRequest()
        request.owner_slug, request.dataset_slug = self.owner, self.slug
        answer = patiently(lambda: self._ask(lambda api: api.get_dataset(request)), self._patience)
        if answer.current_version_number < 1:
            raise UserError(f"Kaggle names no version of {self.owner}/{self.slug}; pin one in data.kaggle.dataset")
        return int(answer.current_version_number)

    def address(self, version: int) -> str:
        """Ask for the storage's signed address of one version: a secret. Raises UserError, PassingError."""
        from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest

        request = ApiDownloadDatasetRequest()
        request.owner_slug, request.dataset_slug, request.dataset_version_number = self.owner, self.slug, version
        # The client follows the redirect, but sets no time-out on the body: only the address is of use.
        with self._ask(lambda api: api.download_dataset(request)) as response:
            if not response.history:
                raise UserError(
                    f"Kaggle's API answered with {content_type(response)} instead of an address to download from; a "
                    "login page of this network, or a proxy, is probably in between: mend that and run the stage again"
                )
            return str(response.url)

    def _ask(self, question: Callable[[Any], T]) -> T:
        try:
            return within(self._patience.timeout_s, lambda: question(self._client.datasets.dataset_api_client))
        except requests.HTTPError as error:
            assert error.response is not None  # the package sets it
            raise self._refusal(error.response) from None
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
            TimeoutError,
        ) as error:
            raise PassingError(f"cannot reach {host(error) or 'Kaggle'}: {reason(error)}") from None
        except Exception as error:  # whatever it is, its text or traceback may hold the token or the address
            raise UserError(
                f"the kaggle package failed ({type(error).__name__}): Kaggle's answer, or the credentials it found, "
                f"are not of the form it expects{self._help()}"
            ) from None

    @functools.cached_property
    def _client(self) -> Any:
        from kagglesdk import KaggleClient, KaggleCredentials

        if not self._logins or self._logins[0].arguments:
            return KaggleClient(**(self._logins[0].arguments if self._logins else {}))
        login = KaggleCredentials.load(KaggleClient())
        # Always anew: the package's own test of the expiry takes a token for valid until half an hour after it.
        login.refresh_access_token()
        return KaggleClient(api_token=login.get_access_token())

    def _refusal(self, response: requests.Response) -> Exception:
        """The error for a status that is no success: one that may pass, or one that explains what to do."""
        status = _status(response)
        if response.history:
            return PassingError(f"the storage answered HTTP {status}", retry_after_s(response))
        if status in (408, 429) or status >= 500:
            return PassingError(f"Kaggle answered HTTP {status}", retry_after_s(response))
        if "GenerateAccessToken" in response.url:
            status = 401  # a refused OAuth login, whatever its status
        return UserError(self._explanation(status) + self._help())

    def _explanation(self, status: int) -> str:
        name = f"{self.owner}/{self.slug}" + (f", version {self.version}" if self.version else "")
        login = self._logins[0].name if self._logins else None
        if status == 401:
            return (
                f"Kaggle refused {login} (HTTP 401): it is wrong, expired or revoked"
                if login
                else f"Kaggle does not give {name} without signing in (HTTP 401), and no credentials were found"
            )
        if status == 403:
            return (
                f"Kaggle forbids to download {name} {'with ' + login if login else 'without signing in'} (HTTP 403): "
                f"its terms are not accepted yet (open {self._page()} in a browser, signed in to the same account, and "
                "accept them), or it is private, or there is no such dataset"
            )
        if status == 404:
            return (
                f"Kaggle has no dataset {name} (HTTP 404): compare data.kaggle.dataset with the address {self._page()}"
            )
        return f"Kaggle answered HTTP {status} when asked for {name}, which was not expected"

    def _help(self) -> str:
        """What was tried to sign in, how to do it better, and how to do without."""
        lines = [f"{self._logins[0].name} was used" if self._logins else "asked without signing in"]
        shadowed = (login.name for login in self._logins[1:])
        lines += [f"it shadows {name}, which was not tried: if it is stale, remove it" for name in shadowed]
        lines += dict.fromkeys(self._notes)
        if not self._logins:
            lines.append(
                f"looked for KAGGLE_API_TOKEN, ~/.kaggle/access_token, KAGGLE_USERNAME with KAGGLE_KEY, "
                f"{config_dir() / 'kaggle.json'} and ~/.kaggle/credentials.json (of `kaggle auth login`)"
            )
        lines += [
            'a token is made at https://www.kaggle.com/settings/api ("Generate New Token"); set KAGGLE_API_TOKEN '
            "to it in the environment, or save it as ~/.kaggle/access_token",
            f"it works without Kaggle, too: set data.source to synthetic; or get the zip by hand from {self._page()}, "
            "put it into data/local/ and set data.source to local",
        ]
        return "".join(f"\n  - {line}" for line in lines)

    def _page(self) -> str:
        return f"https://www.kaggle.com/datasets/{self.owner}/{self.slug}"


def _status(response: requests.Response) -> int:
    """The status of an error; the package also makes one of an answer 200 whose JSON has a `code`."""
    return response.status_code if response.status_code >= 400 else int(response.json()["code"])
