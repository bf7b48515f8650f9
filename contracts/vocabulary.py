"""The words that every part uses with the same meaning."""

from enum import StrEnum


class Status(StrEnum):
    """Where a ticket stands; it only moves forward, one step at a time."""

    OPEN = "open"
    ACTIVE = "active"
    CLOSED = "closed"

    @property
    def step_before(self) -> "Status | None":
        """Return the only status from which this one can be reached, None for the first."""
        return {Status.ACTIVE: Status.OPEN, Status.CLOSED: Status.ACTIVE}.get(self)


class Category(StrEnum):
    """Which team has to act."""

    FACILITY_MANAGEMENT = "facility_management"
    TECHNICAL_IT = "technical_it"
    SERVICES_COMPLAINTS = "services_complaints"


class CategorySource(StrEnum):
    """Who assigned the category; the classifier never overwrites helpdesk."""

    CLASSIFIER = "classifier"
    HELPDESK = "helpdesk"


class Role(StrEnum):
    """What a caller may do; there are no accounts."""

    USER = "user"
    HELPDESK = "helpdesk"


class Action(StrEnum):
    """What happened to a ticket, one for each version of it."""

    OPENED = "opened"
    DESCRIPTION_EDITED = "description_edited"
    CATEGORISED = "categorised"
    ACTIVATED = "activated"
    CLOSED = "closed"
    MESSAGE_SENT = "message_sent"
    DUPLICATE_MARKED = "duplicate_marked"
    DUPLICATE_UNMARKED = "duplicate_unmarked"
    AFFECTED = "affected"


class PeriodUnit(StrEnum):
    """The unit in which helpdesk states a report's period."""

    HOURS = "hours"
    DAYS = "days"


class Language(StrEnum):
    """What people can be spoken to in; every sentence has a translation."""

    ENGLISH = "en"
    ITALIAN = "it"
    GERMAN = "de"
    SPANISH = "es"
    FRENCH = "fr"


DESCRIPTION_MAX_CHARACTERS = 10_000
MESSAGE_MAX_CHARACTERS = 5_000
# More than anybody reads. Helpdesk has some left when users have used up theirs: to answer, and to
# say where things go on.
MESSAGES_MAX = {Role.USER: 2_000, Role.HELPDESK: 2_100}
REPLY_TITLE_MAX_CHARACTERS = 80
REPLIES_MAX = 200
SEARCH_MAX_CHARACTERS = 200
EXCERPT_MAX_CHARACTERS = 160
PAGE_DEFAULT_ITEMS = 50
PAGE_MAX_ITEMS = 200
SIMILAR_MAX_ITEMS = 20
EMBEDDING_DIMENSIONS = 512
# How a ticket without a category is called where one has to be named.
NO_CATEGORY = "none"
EVERY_CATEGORY = (*Category, NO_CATEGORY)
# Ten years: longer than any campus looks back, and short enough for exact date arithmetic.
PERIOD_MAX_DAYS = 3_660
PERIOD_MAX_HOURS = PERIOD_MAX_DAYS * 24
MONTHS_MAX = 1_200
