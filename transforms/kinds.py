"""Why rows are rejected: the closed set of error kinds that our own steps put into dead letters.

A dashboard groups by kind, so a kind names what is wrong with the data and never the place: the
step and the field path are said elsewhere in the dead letter.
"""

from __future__ import annotations

__all__ = [
    "FUNCTION_FAILED",
    "INVALID_UTF8",
    "INVALID_VALUE",
    "MALFORMED_JSON",
    "MISSING_FIELD",
    "OUT_OF_RANGE",
    "TOO_DEEP",
    "UDF_ERROR",
    "UDF_RESULT",
    "UDF_TIMEOUT",
    "WRONG_TYPE",
]

MALFORMED_JSON = "malformed_json"
"""The payload is not exactly one JSON document: empty, cut off, garbage, or several documents."""
INVALID_UTF8 = "invalid_utf8"
"""The payload is not UTF-8, anywhere in it."""
TOO_DEEP = "too_deep"
"""The payload nests arrays or objects about a thousand levels deep or more."""
WRONG_TYPE = "wrong_type"
"""A value, or the whole document, has another JSON type than the schema says."""
MISSING_FIELD = "missing_field"
"""A field that may not be null is absent or null."""
OUT_OF_RANGE = "out_of_range"
"""A number has the right type but does not fit the column without loss."""
INVALID_VALUE = "invalid_value"
"""A text does not follow the form of its column: timestamp, date, time, decimal or base64."""
FUNCTION_FAILED = "function_failed"
"""A user's function raised an exception for the row."""
UDF_ERROR = "udf_error"
"""The function of ``udf`` raised an exception for the row."""
UDF_TIMEOUT = "udf_timeout"
"""The function of ``udf`` took longer than it may."""
UDF_RESULT = "udf_result"
"""What the function of ``udf`` returned is no row, doesn't fit the schema, or names no output."""
