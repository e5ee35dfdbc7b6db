"""The outbox: deliveries and their states, which only this package writes.

The web side stores alerts and the actions of users, the worker drains the deliveries. Every
function is one short transaction, and none is open while a message is sent. Times are
milliseconds since the epoch, and come from the caller.
"""

from delivery.outbox.actions import (
    CANCELABLE_STATES,
    RETRIABLE_STATES,
    cancel,
    hold,
    release,
    retry_now,
    review_channel,
    send_now,
    snooze,
)
from delivery.outbox.activity import delay_percentiles, hour_of
from delivery.outbox.attempt_result import AttemptResult, DrillResult
from delivery.outbox.bodies import reencrypt_bodies
from delivery.outbox.catch_up import separate
from delivery.outbox.claimed import ClaimedDelivery, ClaimedMessage, KnownAlert
from delivery.outbox.claims import NewBody, claim, store_bodies
from delivery.outbox.delays import recent_delays
from delivery.outbox.deletion import delete_channel, delete_part_of_rest, mark_deleted
from delivery.outbox.drills import Drill, claim_drill, plan_drills, settle_drill
from delivery.outbox.due import MAX_IN_GROUP, MAX_PER_CHANNEL, next_due, oldest_due_age
from delivery.outbox.fallback import notify_fallbacks
from delivery.outbox.ingest import (
    MAX_WAITING,
    OutboxFull,
    close_alert,
    close_overdue,
    is_full,
    review,
    store,
)
from delivery.outbox.listening import REPORT_INTERVAL, report_listening
from delivery.outbox.maintenance import move_with_clock, newest_id, sweep
from delivery.outbox.pausing import (
    HeldChoice,
    HeldCount,
    WaitingChoice,
    channels_holding,
    count_held,
    count_held_of_each,
    pause,
    resume,
)
from delivery.outbox.redelivery import SENDABLE, Redelivery, ReplayChoice, look, redeliver
from delivery.outbox.replays import (
    continue_replay,
    run_replay_slice,
    start_replay,
    stop_replay,
)
from delivery.outbox.results import release_claim, settle
from delivery.outbox.retention import Pruned, prune
from delivery.outbox.silences import apply_silences, end_silence
from delivery.outbox.statements import NOT_DROPPED
from delivery.outbox.takeover import has_crash_suspects, senders_under_way, take_over
from delivery.outbox.write_plan import count_unmatched
