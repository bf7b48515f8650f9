"""What the charts say in which language."""

from pathlib import Path

from i18n import Catalogs

CATALOGS = Catalogs(Path(__file__).parent / "locale")
gettext = CATALOGS.gettext
ngettext = CATALOGS.ngettext
