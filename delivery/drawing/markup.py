"""Read the markup of a service inside a line: what is bold, a link, a mention, or an escape.

A dialect is one pattern, whose named alternatives say what they are. The text of an alternative
that has markup of its own is in a group of the same name with `in_` before it.
"""

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from delivery.drawing.model import PALETTE, Span, Spans, Viewer, nearest_color

_MAX_DEPTH = 6
NO_STYLE = Span("")
_URL = r"""(?P<url>https?://[^\s<>"'`|\\]*[^\s<>"'`|\\.,;:!?()\[\]{}*_~])"""
_ESCAPE = r"""(?P<escape>\\[!-/:-@\[-`{-~])"""
_ENTITY = r"(?P<entity>&(?:#[0-9]{1,7}|#x[0-9a-fA-F]{1,6}|amp|lt|gt|quot);)"
_CODE = r"(?P<code>`(?P<in_code>[^`\n]+)`)"
_LINK = r"(?P<link>\[(?P<in_link>(?:\\.|[^\]\[\\\n]){1,500})\]\((?P<target>https?://[^\s)]+)\))"
_INNER = r"(?=[^\s{1}])(?P<in_{0}>(?:\\.|[^\\\n]){{1,400}}?)(?<=\S)"
_BOLD = rf"(?P<bold>\*\*{_INNER.format('bold', '*')}\*\*)"
_STAR = rf"(?P<star>\*{_INNER.format('star', '*')}\*)"
_LINE = rf"(?P<line>(?<![^\W_])_{_INNER.format('line', '_')}_(?![^\W_]))"
_STRIKE = rf"(?P<strike>~~{_INNER.format('strike', '~')}~~)"
_SPOILER = rf"(?P<spoiler>\|\|{_INNER.format('spoiler', '|')}\|\|)"
_FONT = r"""(?P<font><font color=["']?(?P<color>[#\w]+)["']?>(?P<in_font>.{0,2000}?)</font>)"""
_STYLES = {"star": "italic", "line": "italic"}
# The colors of the names that services give them.
_COLORS = {"warning": "orange", "info": "green", "comment": "gray", "grey": "gray"}
_DATE = r"(?P<date><!date\^(?P<epoch>-?[0-9]{1,15})\^(?P<format>[^\^|>\n]*)[^|>\n]*\|[^>\n]*>)"
_TIME = r"(?P<time><t:(?P<epoch>-?[0-9]{1,15})(?::(?P<format>[tTdDfFR]))?>)"


@dataclass(frozen=True)
class Inline:
    """A dialect, and who reads it."""

    pattern: re.Pattern
    viewer: Viewer
    depth: int = 0

    def read(self, text: str, base: Span = NO_STYLE) -> Spans:
        """Return the spans of a text; those that look the same are one."""
        return _join(self._read(text, base))

    def _read(self, text: str, base: Span) -> Iterator[Span]:
        position = 0
        if self.depth < _MAX_DEPTH:
            for match in self.pattern.finditer(text):
                yield replace(base, text=text[position : match.start()])
                yield from _READERS.get(match.lastgroup or "", _read_styled)(self, match, base)
                position = match.end()
        yield replace(base, text=text[position:])

    def within(self, match: re.Match, base: Span) -> Spans:
        """Return the spans of the text inside an alternative."""
        inner = replace(self, depth=self.depth + 1)
        return inner.read(match[f"in_{match.lastgroup}"], base)


def _join(spans: Iterator[Span]) -> Spans:
    joined = []
    for look, same in groupby(spans, lambda span: replace(span, text="")):
        text = "".join(span.text for span in same)
        if text:
            joined.append(replace(look, text=text))
    return tuple(joined)


def styled(base: Span, style: str) -> Span:
    """Return a span with one more style."""
    return replace(base, styles=base.styles | {style})


def _read_styled(inline: Inline, match: re.Match, base: Span) -> Spans:
    name = match.lastgroup or ""
    return inline.within(match, styled(base, _STYLES.get(name, name)))


def _read_escape(_inline: Inline, match: re.Match, base: Span) -> Spans:
    return (replace(base, text=match[0][1:]),)


def _read_entity(_inline: Inline, match: re.Match, base: Span) -> Spans:
    return (replace(base, text=html.unescape(match[0])),)


def _read_code(_inline: Inline, match: re.Match, base: Span) -> Spans:
    text = html.unescape(match["in_code"]) if "entity" in match.groupdict() else match["in_code"]
    return (replace(styled(base, "code"), text=text.strip("\n")),)


def _read_url(_inline: Inline, match: re.Match, base: Span) -> Spans:
    url = html.unescape(match[0]) if "entity" in match.groupdict() else match[0]
    return (replace(base, text=url, link=base.link or url),)


def _read_link(inline: Inline, match: re.Match, base: Span) -> Spans:
    return inline.within(match, replace(base, link=html.unescape(match["target"])))


def _read_bare_link(_inline: Inline, match: re.Match, base: Span) -> Spans:
    url = html.unescape(match["bare"])
    return (replace(base, text=url, link=url),)


def _read_mention(_inline: Inline, match: re.Match, base: Span) -> Spans:
    name = re.sub("[<>!]", "", match[0])
    return (replace(styled(base, "mention"), text=f"@{name.lstrip('@')}"),)


def _read_font(inline: Inline, match: re.Match, base: Span) -> Spans:
    color = match["color"].lower()
    name = _COLORS.get(color, color)
    known = name if name in PALETTE else nearest_color(color)
    return inline.within(match, replace(base, color=known))


def _read_date(inline: Inline, match: re.Match, base: Span) -> Spans:
    """Read a time of Slack, such as `{date_short_pretty} {time}`."""
    epoch = int(match["epoch"])
    moment = inline.viewer.moment(epoch)
    if moment is None:
        text = match[0].rpartition("|")[2].rstrip(">")
        return (replace(base, text=html.unescape(text)),)
    date = f"{moment:%b} {moment.day}, {moment.year:04d}"
    parts = {"time": f"{moment:%H:%M}", "time_secs": f"{moment:%H:%M:%S}"}
    parts["ago"] = inline.viewer.ago(epoch)
    text = re.sub(r"\{(\w+)\}", lambda token: parts.get(token[1], date), match["format"])
    return (replace(styled(base, "time"), text=text),)


def _read_time(inline: Inline, match: re.Match, base: Span) -> Spans:
    """Read a time of Discord, such as `<t:1772442900:R>`."""
    epoch = int(match["epoch"])
    moment = inline.viewer.moment(epoch)
    if moment is None:
        return (replace(base, text="Invalid date"),)
    date = f"{moment.day} {moment:%B} {moment.year:04d}"
    texts = {
        "t": f"{moment:%H:%M}",
        "T": f"{moment:%H:%M:%S}",
        "d": f"{moment:%d/%m}/{moment.year:04d}",
        "D": date,
        "F": f"{moment:%A}, {date} {moment:%H:%M}",
        "R": inline.viewer.ago(epoch) or date,
    }
    text = texts.get(match["format"] or "f", f"{date} {moment:%H:%M}")
    return (replace(styled(base, "time"), text=text),)


_READERS: dict[str, Callable[[Inline, re.Match, Span], Spans]] = {
    "escape": _read_escape,
    "entity": _read_entity,
    "code": _read_code,
    "fence": lambda _inline, match, base: (
        replace(styled(base, "code"), text=html.unescape(match["in_fence"]).strip("\n")),
    ),
    "url": _read_url,
    "link": _read_link,
    "angle": _read_link,
    "angle_bare": _read_bare_link,
    "mention": _read_mention,
    "font": _read_font,
    "date": _read_date,
    "time": _read_time,
}


def _dialect(*alternatives: str) -> re.Pattern:
    return re.compile("|".join(alternatives), re.IGNORECASE)


PLAIN = _dialect(_URL)
TELEGRAM = _dialect(_URL, r"(?P<mention>(?<!\w)@[a-z]\w{3,31})")
_ANGLE = r"(?P<angle><(?P<target>(?:https?|mailto):[^|>\s]+)\|(?P<in_angle>[^>\n]{1,1000})>)"
_ANGLE_BARE = r"(?P<angle_bare><(?P<bare>(?:https?|mailto):[^|>\s]+)>)"
_SIGNED = r"(?P<{0}>(?<![\w{1}]){1}(?=\S)(?P<in_{0}>[^{1}\n]{{1,400}}?)(?<=\S){1}(?![\w{1}]))"
_SIGNS = (
    _SIGNED.format("bold", r"\*"),
    _SIGNED.format("line", "_"),
    _SIGNED.format("strike", "~"),
)
MRKDWN = _dialect(
    *(_ENTITY, r"(?P<fence>```(?P<in_fence>[^`]+)```)", _CODE, _DATE, _ANGLE, _ANGLE_BARE),
    *(r"(?P<mention><[!@#][^>\n]+>)", _URL, *_SIGNS),
)
CHAT_TEXT = _dialect(_CODE, _ANGLE, _ANGLE_BARE, r"(?P<mention><users/[^>\n]+>)", _URL, *_SIGNS)
_MARKDOWN = (_CODE, _LINK, _URL, _BOLD, _STRIKE, _STAR, _LINE)
DISCORD = _dialect(
    _ESCAPE, _TIME, r"(?P<mention><(?:@[!&]?|#)[0-9]+>)", _SPOILER, _ANGLE_BARE, *_MARKDOWN
)
MATTERMOST = _dialect(
    _ESCAPE, _ENTITY, r"(?P<mention>(?<!\w)@[a-z][\w.-]*)", _ANGLE_BARE, *_MARKDOWN
)
TEAMS = _dialect(_ESCAPE, _LINK, _BOLD, _STAR, _LINE)
LARK = _dialect(_ENTITY, _FONT, r"(?P<mention><at [^>\n]*>)", *_MARKDOWN)
DINGTALK = _dialect(_FONT, *_MARKDOWN)
WECOM = _dialect(_FONT, r"(?P<mention><@[^>\n]+>)", _CODE, _LINK, _URL, _BOLD)
