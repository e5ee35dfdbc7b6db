"""The tables, their states and their named queries."""

from models.accounts import Fact, Guess, Invitation, Login, Token, User
from models.activity import Activity, DelayCount
from models.attempts import IS_TEST, Attempt
from models.channels import Channel
from models.deliveries import (
    ID_PER_MS,
    Alert,
    Delivery,
    GroupMessage,
    Notification,
    SettledCount,
    Silence,
)
from models.history import AuditAction, AuditEntry, ChannelVersion
from models.replays import Replay
from models.requests import LabReceiver, LabRequest, Receipt
from models.states import ChannelState, DeliveryState, Proof, ReplayState, Role
from models.table import MAX_ID, Table, db
