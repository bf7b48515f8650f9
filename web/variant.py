"""For whom a fragment is rendered: all who read the same bytes are one variant. A leaf module."""

from dataclasses import dataclass

from contracts.vocabulary import Role
from web.i18n import Language


@dataclass(frozen=True)
class Variant:
    """What a fragment depends on beside its subject."""

    role: Role
    language: Language
