"""What went wrong with the Hub, in one sentence that says what to do."""

import json

from huggingface_hub import constants
from huggingface_hub.errors import (
    BadRequestError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import httpx


def sentence(error: Exception, repo: str) -> str:
    """What went wrong, and what to do about it."""
    if isinstance(error, LocalEntryNotFoundError | RuntimeError) and error.__cause__ is not None:
        return sentence(error.__cause__, repo)  # the client's own word for several kinds
    for kind, words in SENTENCES.items():
        if isinstance(error, kind):
            return words.format(repo=repo, endpoint=constants.ENDPOINT)
    if isinstance(error, HfHubHTTPError):
        return answered(error.response.status_code, repo)
    if "Consistency check failed" in str(error):
        return "the download broke off before its end: try again"
    return str(error).strip().split("\n")[0]


OFFLINE = "the Hub cannot be asked for '{repo}': this machine is offline"
SENTENCES: dict[type[Exception], str] = {
    LocalEntryNotFoundError: OFFLINE,
    HFValidationError: "'{repo}' is no repository id, such as 'name/model'",
    GatedRepoError: "'{repo}' is gated: ask for access at {endpoint}/{repo}, then log in",
    RepositoryNotFoundError: (
        "there is no '{repo}' on the Hub, or it is private: check the name; a private one needs a login"
    ),
    RevisionNotFoundError: "'{repo}' has no such revision",
    EntryNotFoundError: "'{repo}' lacks a file that is needed",
    OfflineModeIsEnabled: OFFLINE,
    json.JSONDecodeError: "the Hub gave an answer that cannot be read: try again later",
    httpx.TimeoutException: "the Hub did not answer in time: try again later",
    httpx.ConnectError: "the Hub cannot be reached: is this machine online?",
    httpx.TransportError: "the connection to the Hub broke off: try again",
    BadRequestError: "the Hub refused the request for '{repo}'",
}


def answered(status: int, repo: str) -> str:
    """What an HTTP status that says no means here."""
    if status == 401:
        return "the Hub does not accept the token: log in again"
    if status == 403:
        return f"this token may not do that to '{repo}': it needs the right to write there"
    if status == 429:
        return "the Hub has had too many requests from here: try again in some minutes"
    return f"the Hub answered with an error ({status}): try again later"
