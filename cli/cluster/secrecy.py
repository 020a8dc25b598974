"""Detects values that look like secrets, which must not be in a compiled pipeline."""

from __future__ import annotations

import re

from kfp_finetune.components.storage.uris import without_secrets

# Whole words of a variable's name: TOKENIZERS_PARALLELISM and PATH are no secrets.
_NAME = re.compile(
    r"secret|passw|passphrase|credential|(?:api|access|private|account|signing)key|connectionstring"
    r"|(?:^|_)(?:key|token|pat|pass|pw|pwd|auth|jwt|cookie|dsn|sas|connection_string|conn_str)s?"
    r"(?:_|\d|$)|(?:token|cookie)s?$",
    re.IGNORECASE,
)
# Where a secret is, or who gives it.
_NAMES_A_PLACE = re.compile(r"_(FILE|PATH|DIR|URL|URI|ENDPOINT|HOST|PORT|NAME)$", re.IGNORECASE)
_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|\"private_key\""
    r"|\b(?:Bearer|Basic)\s+(?=\S*(?-i:[A-Z\d=]))[\w.~+/=-]{8,}"
    # Connection strings: AccountKey=…;EndpointSuffix=… and host=db password=…
    r"|\b(?:(?:shared)?access(?:key|signature)|account_?key|password|passwd|pwd|sig)\s*=\s*[^\s;]+"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\."  # a JSON web token
    r"|\b(?:gh[pousr]_|github_pat_|glpat-|hf_|xox[abprs]-|sk-|AKIA|ASIA)(?=\S*\d)[\w-]{16,}",
    re.IGNORECASE,
)


def looks_secret(name: str, value: str) -> bool:
    """Return True if an environment variable holds a secret, by its name or by its value."""
    by_name = bool(_NAME.search(name)) and not _NAMES_A_PLACE.search(name)
    return by_name or bool(_VALUE.search(value)) or without_secrets(value) != value
