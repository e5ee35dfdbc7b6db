"""The summary and the description of an alert, from its annotations."""

from collections.abc import Mapping

from delivery.text import clean

SUMMARY_ANNOTATIONS = ("summary", "description", "message")
FLAPPING = (
    "It changes so often that only this is sent. The next message follows when it has not changed "
    "for ten minutes."
)
_MAX_FIRST_LINE = 300


def read_summary(annotations: Mapping[str, str]) -> tuple[str, str]:
    """Return the summary, and what the annotations say beyond it.

    Without an annotation `summary`, it is the first line of the others if that is short.
    """
    cleaned = [clean(annotations.get(name, "")).strip() for name in SUMMARY_ANNOTATIONS]
    texts = list(dict.fromkeys(filter(None, cleaned)))
    if not texts:
        return "", ""
    if cleaned[0]:
        return texts[0], "\n".join(texts[1:])
    line, _, rest = texts[0].partition("\n")
    if len(line) > _MAX_FIRST_LINE:
        return "", "\n".join(texts)
    return line, "\n".join([rest.strip("\n"), *texts[1:]]).strip("\n")
