"""What reports are asked: the parameters of an address, as typed, and what is wrong with them.

Judges nothing itself: the requests of `contracts` do.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from pydantic import ValidationError

from contracts.rest import FieldError, field_errors
from contracts.vocabulary import PeriodUnit
from web.forms import read_value
from web.i18n import current_language
from web.reports import ANALYSES, REQUESTS, Request

ALL = "all"
# What each report is asked, in the order of its form; `months` stands in addresses only.
PARAMETERS = {
    "unclosed": ("last", "unit", "category"),
    "resolution": ("months", "since", "until", "category"),
    "active": ("category",),
    ALL: ("last", "unit", "months", "since", "until", "category"),
}
NUMBERS = ("last", "months")
# Of these an address without them means the default; without the others, no limit.
REQUIRED = ("last", "unit")
_WHOLE = re.compile(r"-?[0-9]{1,12}", re.ASCII)


@dataclass(frozen=True)
class Question:
    """The parameters of all reports; empty: none."""

    last: str = "7"
    unit: str = PeriodUnit.DAYS.value
    months: str = ""
    since: str = ""
    until: str = ""
    category: str = ""

    def address(self, analysis: str, end: str = "") -> str:
        """Return where the answer is, or a part of it as a file whose name has that end."""
        query = self.query(analysis)
        return f"/analytics/{analysis}{end}{'?' if query else ''}{query}"

    def query(self, analysis: str) -> str:
        """Return the part of the address that asks one analysis."""
        return urlencode(self._texts(analysis))

    def request(self, analysis: str, *, chart: bool = True) -> Request:
        """Return the request to the analysis's worker; raises ValidationError."""
        fields: dict[str, object] = {
            name: int(text) if name in NUMBERS and _WHOLE.fullmatch(text) else text
            for name, text in self._texts(analysis).items()
        }
        fields |= {"language": current_language(), "chart": chart}
        return REQUESTS[analysis].model_validate(fields)

    def errors(self, analysis: str) -> tuple[FieldError, ...]:
        """Return what is wrong with what an analysis, or all of them, is asked; once a field."""
        errors: dict[str, FieldError] = {}
        for name in ANALYSES if analysis == ALL else (analysis,):
            try:
                self.request(name)
            except ValidationError as error:
                errors |= {bad.field: bad for bad in field_errors(error.errors())}
        return tuple(errors.values())

    def _texts(self, analysis: str) -> dict[str, str]:
        return {
            name: text
            for name in PARAMETERS[analysis]
            if (text := getattr(self, name)) or name in REQUIRED
        }


def read_question(query: Mapping[str, str], analysis: str) -> Question:
    """Return what an address asks one analysis, or all of them."""
    return Question(**{n: read_value(query, n) for n in PARAMETERS[analysis] if n in query})
