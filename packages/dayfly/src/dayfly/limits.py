"""Azure's limits, and ours, with the page that each comes from."""

from datetime import timedelta

MESSAGE_TEXT_MAX_BYTES = 65_536
"""A queue message as stored (learn.microsoft.com/rest/api/storageservices/put-message)."""

MESSAGES_PER_RECEIVE_MAX = 32
"""`numofmessages` of Get Messages (learn.microsoft.com/rest/api/storageservices/get-messages)."""

VISIBILITY_TIMEOUT_MAX = timedelta(days=7)
"""Visibility can be moved this far, never past the expiry (…/rest/api/storageservices/update-message)."""

RENEWAL_BEFORE_EXPIRY = timedelta(days=1)
"""A message with less than this to live is put again without expiry before it is worked on."""

LOG_TAIL_MAX_BYTES = 16_384
"""How much of a handler's log an entry of the ledger keeps."""

RESULT_MAX_BYTES = 1_048_576
"""The longest result or error text that a handler may return; a ledger entry is a small blob."""

KEY_PATTERN = r"[A-Za-z0-9][A-Za-z0-9-]{0,119}"
"""Ledger keys: message ids, replay keys and container group names."""
