"""Escapes of the markup that services read, as few as each needs (`docs/kinds/` has examples).

URLs stay as they are, so that they can be followed and copied. Where a service knows no escape, a
zero-width space keeps characters apart that would act together.
"""

import html
import re
from collections.abc import Callable

ZERO_WIDTH_SPACE = "\u200b"
URL = re.compile(r"""(https?://[^\s<>"'`|\\]*[^\s<>"'`|\\.,;:!?()\[\]{}*_~])""", re.IGNORECASE)
# What formats a text in Markdown: signs that mark a part, and signs at the beginning of a line.
_MARKDOWN = re.compile(
    r"[\\`*<]|(?<![^\W_])_|_(?![^\W_])|~(?=~)|(?<=~)~|\|(?=\|)|(?<=\|)\||[\[](?=[^\]\n]*\]\()"
    r"|^[ ]{0,3}(?P<line>[#>+-])|^[ ]{0,3}[0-9]{1,9}(?P<number>[.)])(?=\s)",
    re.MULTILINE,
)
_LINK = re.compile(r"\](?=\()")
_LINE_MARK = re.compile(r"^(?=[ ]{0,3}([#>+*-]|[0-9]{1,9}[.)]\s))", re.MULTILINE)
_TAG = re.compile("<(?=[@/!A-Za-z])")
_MENTION = re.compile(r"(?<!\w)@(?=\w)")
_GROUP_MENTION = re.compile(r"@(?=(all|channel|everyone|here)\b)", re.IGNORECASE)
_CHAT_TAG = re.compile("<(?=users/|https?:|mailto:)", re.IGNORECASE)
_LARK = re.compile(r"[\\`*<>~\[\]]|(?<![^\W_])_|_(?![^\W_])|^[ ]{0,3}(?P<line>[#+-])", re.MULTILINE)


def escape_html(text: str) -> str:
    """Escape the text for services that read tags (also `<!channel>` in Slack)."""
    return html.escape(text, quote=False)


def escape_markdown(text: str) -> str:
    """Escape the text with backslashes where Markdown would format it."""
    return _outside_urls(text, lambda part: _MARKDOWN.sub(_backslash, part))


def escape_lark(text: str) -> str:
    """Escape the text for the Markdown of Feishu's cards, which has entities for its signs."""
    return _outside_urls(text.replace("&", "&#38;"), lambda part: _LARK.sub(_entity, part))


def break_markdown(text: str) -> str:
    """Disarm links, tags, mentions, and signs at the beginning of a line, without an escape."""
    return _LINE_MARK.sub(ZERO_WIDTH_SPACE, break_markdown_inside(text))


def break_markdown_inside(text: str) -> str:
    """Disarm links, tags and mentions in a text that does not begin a line."""
    text = _LINK.sub("]" + ZERO_WIDTH_SPACE, text)
    return _TAG.sub("<" + ZERO_WIDTH_SPACE, text)


def break_mentions(text: str) -> str:
    """Disarm mentions such as `@channel`. E-mail addresses and URLs have none.

    A mention of a whole group is disarmed in a URL too.
    """
    text = _outside_urls(text, lambda part: _MENTION.sub("@" + ZERO_WIDTH_SPACE, part))
    return break_group_mentions(text)


def break_group_mentions(text: str) -> str:
    """Disarm the mentions of whole groups, such as `@channel`."""
    return _GROUP_MENTION.sub("@" + ZERO_WIDTH_SPACE, text)


def break_chat_tags(text: str) -> str:
    """Disarm the mentions and links of Google Chat's texts, such as `<users/all>`."""
    return _CHAT_TAG.sub("<" + ZERO_WIDTH_SPACE, text)


def _outside_urls(text: str, escape: Callable[[str], str]) -> str:
    if "://" not in text:
        return escape(text)
    parts = URL.split(text)
    parts[::2] = map(escape, parts[::2])
    return "".join(parts)


def _backslash(sign: re.Match) -> str:
    return f"{sign[0][:-1]}\\{sign[0][-1]}"


def _entity(sign: re.Match) -> str:
    return f"{sign[0][:-1]}&#{ord(sign[0][-1])};"
