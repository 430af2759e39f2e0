"""Documented sizes and lengths of the real service. What a user may ask in which time: protection.py."""

from __future__ import annotations

MAX_BODY_BYTES = int(116.85 * 1024 * 1024)
MAX_BATCH_REQUESTS = 1_000
MAX_PAGE_ROWS = 5_000
MAX_COUNT = 5_000
MAX_URL_CHARACTERS = 32_768

MAX_TEXT = 4_000
MAX_MEMO = 1_048_576
MIN_INTEGER, MAX_INTEGER = -(2**31), 2**31 - 1
MIN_BIGINT, MAX_BIGINT = -(2**63), 2**63 - 1
MAX_DECIMAL = 100_000_000_000
MAX_MONEY = 922_337_203_685_477
MAX_DECIMAL_PLACES = 10
MAX_DOUBLE_PLACES = 5
FIRST_DATE = "1753-01-01"

MAX_KEYS = 10
MAX_KEY_COLUMNS = 16
# Not established for the Web API; these are the lengths that the documents and tools name.
MAX_NAME = 100
MAX_TABLE_NAME = 64
MAX_RELATIONSHIP_NAME = 100
