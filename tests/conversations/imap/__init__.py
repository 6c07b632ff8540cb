"""The IMAP conversations. The scenarios of nginx's mail_imap.t are among them, as far as we have their mechanism."""

from gateway.protocol.imap import SPEC as SPEC
from tests.conversations.imap import authenticate
from tests.conversations.imap import client
from tests.conversations.imap import commands
from tests.conversations.imap import literals
from tests.conversations.imap import login
from tests.conversations.imap import outcomes
from tests.support.conversation import Conversation

CONVERSATIONS: tuple[Conversation, ...] = (
    *commands.COMMANDS,
    *commands.TAGS,
    *login.LOGINS,
    *literals.LITERALS,
    *authenticate.AUTHENTICATE,
    *outcomes.ACCEPTED,
    *outcomes.REFUSED,
    *outcomes.ENDS,
    *client.LOGINS,
    *client.STARTTLS,
    *client.ANSWERS,
    *client.GREETINGS,
)
