"""Escapes of the markup that services read, as few as each needs (`docs/kinds/` has examples).

URLs stay as they are, so that they can be followed and copied. Where a service knows no escape, a
zero-width space keeps characters apart that would act together.
"""

import html
import re
from collections.abc import Callable

ZERO_WIDTH_SPACE = "\u200b"
_URL = r"""[Hh](?i:ttps?)://[^\s<>"'`|\\]*[^\s<>"'`|\\.,;:!?()\[\]{}*_~]"""
URL = re.compile(f"({_URL})")
# A match is a URL, or ends with a sign that would format the text. The signs right behind a URL
# stay: an escape would become a part of it, and alone they format nothing. The first characters
# are listed for speed.
_MARKDOWN = re.compile(
    rf"""
    (?=[hH`*_~|(<&\\])(?:
        {_URL} [*_~]*
        # code, emphasis, ~~deleted~~, ||hidden||, a link, a tag, an entity
        | `
        | \*(?: (?=\S) | (?<=\S\*) )
        | _(?: (?<![^\W_]_)(?=\S) | (?<=\S_)(?![^\W_]) )
        | ~(?: (?=~) | (?<=~~) )
        | \|(?: (?=\|) | (?<=\|\|) )
        | \((?<=\]\()
        | <(?!{_URL}[*_~]*>)(?=[A-Za-z/!?@\#:])
        | &(?=\#?\w+;)
        | \\(?![0-9A-Za-z\ ])
    )
    # a heading, a quote, a list, a rule, the line below a heading, the target of a link
    | ^[ ]*(?:
        \#(?=\#{{0,5}}(?:\s|$))
        | >
        | [-+*_](?=\s|$)
        | -(?=\#)
        | [0-9]+[.)](?=\s|$)
        | =(?==*[ ]*$)
        | (?::[ ]*)?[-|](?=[-|: ]*$)
        | \[(?=[^\]\n]*(?:\n[^\]\n]+){{0,9}}\]:)
    )
    """,
    re.MULTILINE | re.VERBOSE,
)
_CODE_INDENT = re.compile("^[ ](?=[ ]{3})", re.MULTILINE)
# Signs before which Mattermost would show a backslash.
_NO_BACKSLASH = "<&="
_LINK = re.compile(r"\](?=\()")
_LINE_MARK = re.compile(
    r"^(?=[ ]*([#>]|[+*-](\s|$)|[0-9]+[.)](\s|$)|[-=*_][-=*_ ]*$))", re.MULTILINE
)
_TAG = re.compile("<(?=[@/!A-Za-z])")
# Mattermost's server takes an underscore or a letter that is not ASCII for the end of a word.
_MENTION = re.compile(rf"{_URL}|@(?<![0-9A-Za-z]@)(?=[0-9A-Za-z])")
_GROUP_MENTION = re.compile(r"@(?=(all|channel|everyone|here)(?![0-9A-Za-z]))", re.IGNORECASE)
_CHAT_TAG = re.compile("<(?=users/|https?:|mailto:)", re.IGNORECASE)


def escape_html(text: str) -> str:
    """Escape the text for services that read tags (also `<!channel>` in Slack)."""
    return html.escape(text, quote=False)


def escape_markdown(text: str) -> str:
    """Escape the text with backslashes where Markdown would format it."""
    return _replace(_MARKDOWN, "\\{}".format, text)


def escape_mattermost(text: str) -> str:
    """Escape the text for Mattermost, which knows few backslashes, but entities.

    https://github.com/mattermost/marked
    """
    return _CODE_INDENT.sub(_entity("\u00a0"), _replace(_MARKDOWN, _mattermost_sign, text))


def escape_lark(text: str) -> str:
    """Escape the text for the Markdown of Feishu's cards, which has entities for its signs."""
    return _replace(_MARKDOWN, _entity, text)


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
    return break_group_mentions(_replace(_MENTION, _break, text))


def break_group_mentions(text: str) -> str:
    """Disarm the mentions of whole groups, such as `@channel`."""
    return _GROUP_MENTION.sub("@" + ZERO_WIDTH_SPACE, text)


def break_chat_tags(text: str) -> str:
    """Disarm the mentions and links of Google Chat's texts, such as `<users/all>`."""
    return _CHAT_TAG.sub("<" + ZERO_WIDTH_SPACE, text)


def _replace(pattern: re.Pattern, escape: Callable[[str], str], text: str) -> str:
    """Return the text with the last character of every match escaped, except URLs."""

    def replace(match: re.Match) -> str:
        found = match[0]
        return found if found[0] in "Hh" else found[:-1] + escape(found[-1])

    return pattern.sub(replace, text)


def _mattermost_sign(sign: str) -> str:
    return _entity(sign) if sign in _NO_BACKSLASH else f"\\{sign}"


def _entity(sign: str) -> str:
    return f"&#{ord(sign)};"


def _break(sign: str) -> str:
    return sign + ZERO_WIDTH_SPACE
