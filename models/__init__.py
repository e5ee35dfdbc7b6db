"""The tables, their states and their named queries."""

from models.accounts import Fact, Guess, Invitation, Login, Token, User
from models.channels import Channel
from models.deliveries import (
    Alert,
    Attempt,
    Delivery,
    LabRequest,
    Notification,
    Receipt,
    Silence,
)
from models.states import ChannelState, DeliveryState, Proof, Role
from models.table import MAX_ID, Table, db
