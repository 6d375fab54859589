"""Gives each write of schemathesis an Idempotency-Key of its own; it would repeat one, which gets the stored response."""

import itertools

import schemathesis

HEADER = "Idempotency-Key"
numbers = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    value = (case.headers or {}).get(HEADER)
    # One that has the wrong length stays: it must be refused.
    if isinstance(value, str) and 1 <= len(value) <= 255:
        case.headers[HEADER] = f"key-{next(numbers)}"
