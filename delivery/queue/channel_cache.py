"""The worker's cache of channels, with their secrets decrypted."""

import json
from typing import NamedTuple

from delivery import retry
from delivery.kinds import keeps_incidents, kinds
from delivery.rate_limit import RateLimit
from delivery.secrets.encryption import Keyring
from delivery.settings import Settings, read_settings
from models import Channel, db

_REVISIONS = """
    SELECT id, version, updated_at, state FROM channel
    WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_each(:ids))"""


class CachedChannel(NamedTuple):
    """A channel with decrypted settings; `problem` says why that failed.

    `origin` is scheme, host and port of its URL, `steps` its retry schedule in seconds,
    `rate_limit` the limit of its vendor. It `combines` messages that wait for that. A row with
    another `revision` is newer.
    """

    settings: Settings
    problem: str
    origin: str
    steps: tuple[int, ...]
    rate_limit: RateLimit
    combines: bool
    state: str
    config_hash: str
    revision: tuple

    @property
    def version(self) -> int:
        """The version of the channel."""
        return self.revision[1]

    @property
    def rate_limit_key(self) -> tuple:
        """The receiver that the rate limit counts for."""
        return self.settings.kind, self.settings.url, self.settings.options


class ChannelCache(dict[int, CachedChannel]):
    """Channels by id, as of their last refresh."""

    def __init__(self, keyring: Keyring):
        self._keyring = keyring

    def refresh(self, channel_ids: set[int]) -> None:
        """Read the channels that are new or changed, and remove those that were deleted."""
        rows = db.execute_sql(_REVISIONS, {"ids": json.dumps(list(channel_ids))})
        revisions = {row[0]: row for row in rows}
        for channel_id in channel_ids:
            cached = self.get(channel_id)
            if cached and not cached.problem and cached.revision == revisions.get(channel_id):
                continue
            self.pop(channel_id, None)
            if row := Channel.find(channel_id):
                self[channel_id] = self._read(row)

    def _read(self, row: Channel) -> CachedChannel:
        settings, problem = read_settings(row, self._keyring)
        kind = kinds().get(settings.kind)
        rate_limit = kind.rate_limit if kind else ()
        return CachedChannel(
            settings=settings,
            problem=problem,
            origin=settings.origin,
            steps=retry.steps_or_default(row.retries),
            rate_limit=rate_limit,
            combines=bool(rate_limit) and not (row.separate or keeps_incidents(settings.kind)),
            state=row.state,
            config_hash=row.config_hash,
            revision=(row.id, row.version, row.updated_at, row.state),
        )
