"""Where labels come from: a table, or reports read by rules or by a model; and their audit."""

from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from radscale_lib.study.base import Distinct, Fraction, Section

Source = Literal["table", "rules", "endpoint"]
MOST_LABELS = 30
"""Number of labels per request to an endpoint."""
READERS: tuple[Source, ...] = ("rules", "endpoint")
"""Sources that read reports."""


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _some(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    if not sources:
        raise ValueError(f"no source: name one or more of {', '.join(get_args(Source))}")
    return sources


Sources = Annotated[tuple[Source, ...], BeforeValidator(_listed), Distinct]
"""Sources in order; a single one needs no brackets."""
SomeSources = Annotated[Sources, AfterValidator(_some)]
"""At least one."""


def not_blank(text: str) -> str:
    """Check that a text is not blank.

    Raises:
        ValueError: if it has neither letters nor digits.
    """
    if not any(map(str.isalnum, text)):
        raise ValueError("blank: write some words, or remove the key")
    return text


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has a line's end or a sign that does not show: write it on one line")
    return not_blank(text)


def _shown(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("blank, or not on one line: write a currency as USD or €")
    return text


def _phrase(text: str) -> str:
    text = not_blank(text).replace("...", "…")
    if not all(any(map(str.isalnum, part)) for part in text.split("…")):
        raise ValueError("an ellipsis stands between words: write some on both sides of it")
    return text


NotBlank = Annotated[str, AfterValidator(not_blank)]
Line = Annotated[str, AfterValidator(_one_line)]
"""Text on a single line."""
Phrase = Annotated[str, AfterValidator(_phrase)]
"""Words that mention a label; an ellipsis stands for up to four words."""


class Price(Section):
    """The prices of an endpoint."""

    input: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="Price of a million tokens sent."
    )
    output: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="Price of a million tokens received."
    )
    currency: Annotated[str, AfterValidator(_shown)] = Field(
        "USD", description="Currency of the prices, as plans show it."
    )


class Endpoint(Section):
    """A server with OpenAI's chat completions API: vLLM, Ollama, or a vendor's."""

    url: str = Field(
        description="Address up to the version, such as http://127.0.0.1:8000/v1. The environment "
        "variable RADSCALE_ENDPOINT_KEY is sent as its key, if it is set."
    )
    model: Line = Field(description="Name of the model on the server.")
    texts_leave_institution: bool = Field(
        False,
        description="Allow an address outside this machine and its private network: report texts, "
        "scrubbed by rules that miss some names (docs/hospital/deidentification.md), "
        "leave the institution.",
    )
    concurrency: int = Field(8, ge=1, le=512, description="Concurrent requests of each job.")
    attempts: int = Field(
        5,
        ge=1,
        le=20,
        description="Attempts at a request, with growing waits; after the last the job stops, and "
        "continues from its kept answers when it is started again.",
    )
    timeout: float = Field(
        120.0,
        gt=0,
        le=86_400,
        allow_inf_nan=False,
        description="Seconds that an answer may take, from the request to its last byte.",
    )
    characters: int = Field(
        20_000,
        ge=100,
        description="Longer reports are not sent: their labels are missing.",
    )
    tokens_per_second: float = Field(
        1000.0,
        gt=0,
        allow_inf_nan=False,
        description="Tokens per second that the server reads and writes, for plans.",
    )
    price: Price = Field(Price(), description="What it costs, for plans.")

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        told = "this" if "@" in url else repr(url)  # may contain a password
        wrong = ValueError(f"{told} is not an address: write one as http://127.0.0.1:8000/v1")
        if any(sign.isspace() or not sign.isprintable() for sign in url):
            raise ValueError("an address has no blanks: write one as http://127.0.0.1:8000/v1")
        try:
            parts = urlsplit(url)
        except ValueError:
            raise wrong from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise wrong
        try:
            port = parts.port
        except ValueError:
            port = 0
        if port == 0:
            raise ValueError("an address's port is a number from 1 to 65535")
        try:
            long = len(parts.hostname.encode("idna")) > 253
        except UnicodeError:
            long = True
        if long:
            raise ValueError(
                "no host has such a name: between its dots are 1 to 63 letters, and 253 in all"
            )
        if not parts.path.isascii():
            raise ValueError("an address's path is in ASCII: write other letters as %..")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError(
                "an address without user, password or query is needed: put the key into "
                "RADSCALE_ENDPOINT_KEY"
            )
        return url.rstrip("/")

    @model_validator(mode="after")
    def _stays_inside(self) -> "Endpoint":
        host = urlsplit(self.url).hostname or ""
        try:
            address = ip_address(host)
        except ValueError:
            return self  # a host name, looked up before anything is sent
        if not self.texts_leave_institution and not is_inside(str(address)):
            raise ValueError(f"url: {outside(host)}")
        return self


INSIDE = tuple(
    ip_network(network)
    for network in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
)
"""This machine, and private networks (RFC 1918, 3927, 4193, 4291)."""


def is_inside(address: str) -> bool:
    """Whether an IP address belongs to this machine or to a private network."""
    found = ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    found = mapped or found
    return any(found in network for network in INSIDE if network.version == found.version)


def outside(host: str) -> str:
    """The message on an address outside."""
    return (
        f"{host} is outside of this machine and its private network: report texts would leave the "
        "institution: name another server, or set labels.endpoint.texts_leave_institution: true"
    )


class Least(Section):
    """What a label must reach in the audit."""

    precision: Fraction = Field(
        0.0, description="Share of the examinations read as present that a person marks as present."
    )
    recall: Fraction = Field(
        0.0,
        description="Share of the examinations that a person marks as present that are read "
        "as present.",
    )


class Audit(Section):
    """A person reads some reports, to measure how reliable labels are (docs/hospital/labels.md)."""

    reports: int = Field(
        200,
        ge=1,
        description="Reports drawn for each label, by state and from those on which "
        "sources differ.",
    )
    seed: int = Field(0, ge=0, description="Seed of the draw.")
    table: Path | None = Field(
        None,
        description="The table that `snakemake audit_labels` draws, filled in "
        "(docs/hospital/labels.md).",
    )
    least: Least = Field(Least(), description="What each label of the first source must reach.")
    below: Literal["stop", "drop"] = Field(
        "stop",
        description="What happens to a label that does not: the study stops, or continues without "
        "that source's readings of the label.",
    )
