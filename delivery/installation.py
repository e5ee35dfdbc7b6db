"""What messages say about the installation that sends them."""

import re
from dataclasses import dataclass
from datetime import UTC, tzinfo

from config import Config
from models import Fact

_FACT = "installation"


@dataclass(frozen=True)
class Installation:
    """An installation of Tocsin.

    `id` is random, and tells its alerts at a vendor from those of other installations.
    `public_url` is empty without TOCSIN_PUBLIC_URL: links to pages are then left out. Without a
    `time_zone`, times are those of this machine.
    """

    id: str = ""
    public_url: str = ""
    time_zone: tzinfo | None = UTC

    def alert_url(self, alert_id: str) -> str:
        """Return the URL of an alert's page; empty if it cannot be reached or has none."""
        if not self.public_url or not re.fullmatch("[0-9]{1,19}", alert_id):
            return ""
        return f"{self.public_url}/alerts/{alert_id}"

    @property
    def alerts_url(self) -> str:
        """The URL of the list of alerts; empty if it cannot be reached."""
        return f"{self.public_url}/alerts" if self.public_url else ""


def load_installation(config: Config) -> Installation:
    """Return this installation; its id is a fact that a migration stores."""
    fact = Fact.get_or_none(Fact.name == _FACT)
    return Installation(fact.value if fact else "", config.public_url.rstrip("/"), None)
