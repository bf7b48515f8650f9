"""What was refused and why, in the reader's language.

Services say it in English, with a stable code and the figures of the sentence; this is the one
table from their codes to what the pages say. A code without a sentence here is said in English.
"""

from collections.abc import Iterable, Mapping

from contracts.rest import FieldError, Problem
from web.filters import number
from web.i18n import N_, gettext, ngettext

# Problems, by their code.
PROBLEMS = {
    "bad_role": N_("This is for helpdesk only."),
    "busy": N_("Very many people are here at the moment. Please try again in a few seconds."),
    "duplicate_chain": N_("A duplicate points to a ticket that is not a duplicate itself."),
    "forbidden": N_("This is for helpdesk only."),
    "idempotency_key_reused": N_("This form was sent before, with another text."),
    "invalid": N_("Something in the form is missing or not usable."),
    "not_found": N_("There is no such ticket. Check its number."),
    "stale": N_("The ticket was changed since you read it."),
    "thread_full": N_(
        "This ticket holds as many messages as a ticket takes. Please report what is left as a new "
        "problem, and name this ticket in it."
    ),
    "ticket_closed": N_("This ticket was closed and takes no change any more."),
    "too_large": N_("That is more than a form may hold."),
    "too_many_replies": N_("There are as many replies as people can choose from."),
    "wrong_step": N_("A ticket moves from open to active to closed."),
}
# Bad fields, by their code, as they follow "The text" or the name of the field.
FIELDS = {
    "blank": N_("must not be empty"),
    "category": N_("must be one of %(known)s"),
    "closed_for_helpdesk": N_("closed tickets are for helpdesk"),
    "control_character": N_("must not contain control characters (found U+%(code)s)"),
    "cursor": N_("belongs to another list"),
    "days_too_many": N_("must be at most %(limit)s days"),
    "enum": N_("must be one of the choices"),
    "greater_than_equal": N_("must be at least %(ge)s"),
    "has_duplicates": N_("ticket %(ticket)s has duplicates itself, such as %(duplicate)s"),
    "hours_too_many": N_("must be at most %(limit)s hours"),
    "instant": N_("must be an instant such as 2026-05-31T08:00:00Z"),
    "int_parsing": N_("must be a whole number"),
    "int_type": N_("must be a whole number"),
    "is_duplicate": N_("ticket %(ticket)s is a duplicate of %(of)s itself"),
    "less_than_equal": N_("must be less than or equal to %(le)s"),
    "literal_error": N_("must be one of the choices"),
    "month": N_("must be a month such as 2026-05"),
    "other_sort": N_("belongs to another list"),
    "same_ticket": N_("must be another ticket"),
    "several_lines": N_("must be one line"),
    "title_taken": N_("is the title of another reply already"),
    "too_broad": N_("takes too long with these words: try longer ones"),
    "unknown_ticket": N_("there is no ticket %(ticket)s"),
    "until_before_since": N_("must not be before the first month"),
    "year": N_("must be between the years 1 and 9999"),
}
# Fields of addresses and forms, as the pages call them.
NAMES = {
    "body": N_("Text"),
    "category": N_("Category"),
    "last": N_("Last"),
    "months": N_("Months"),
    "part": N_("Part"),
    "q": N_("Search"),
    "since": N_("Since"),
    "sort": N_("Sort"),
    "status": N_("Status"),
    "title": N_("Title"),
    "unit": N_("Unit"),
    "until": N_("Until"),
}


def say_problem(problem: Problem) -> str:
    """Return why something is refused, as a sentence."""
    return gettext(PROBLEMS[problem.code]) if problem.code in PROBLEMS else problem.detail


def say_field(error: FieldError) -> str:
    """Return what is wrong with a field, as words that follow its name."""
    code = error.code or ""
    try:
        if code == "too_long":
            return _say_too_long(error.params)
        return gettext(FIELDS[code]) % error.params
    except KeyError:  # another service's release knows more codes, or says other figures
        return error.message


def _say_too_long(params: Mapping[str, str | int]) -> str:
    over, n, most = (int(params[name]) for name in ("over", "n", "max"))
    reason = ngettext(
        "is %(num)s character too long (%(n)s; at most %(most)s)",
        "is %(num)s characters too long (%(n)s; at most %(most)s)",
        over,
    )
    return reason % {"num": number(over), "n": number(n), "most": number(most)}


def say_named(error: FieldError) -> str:
    """Return which field is wrong and why, as a sentence."""
    name = gettext(NAMES[error.field]) if error.field in NAMES else error.field
    return gettext("%(field)s %(reason)s.") % {"field": name, "reason": say_field(error)}


def say_text(problem: Problem) -> str:
    """Return what is wrong with the text that was sent, as a sentence."""
    return say_texts(problem.errors) if problem.errors else say_problem(problem)


def say_texts(errors: Iterable[FieldError]) -> str:
    """Return what is wrong with a text, as a sentence."""
    reasons = "; ".join(say_field(error) for error in errors)
    return gettext("The text %(reasons)s.") % {"reasons": reasons}
