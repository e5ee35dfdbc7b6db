"""Time of `tocsin channels import` for 1,000 channels, and what a mistake in entry 900 changes."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from parts.figures import figure

ROOT = Path(__file__).parent.parent
CHANNELS = 1000
BAD_ENTRY = 900
TARGET = 5.0  # seconds
TOKEN = "123456789:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
KINDS = (
    ("slack", "https://hooks.slack.com/services/T0/B0/abcdef{number}", ""),
    ("webhook", "https://hooks.example.com/{number}", ""),
    ("telegram", "https://api.telegram.org", f'options: {{chat_id: "-1", bot_token: "{TOKEN}"}}'),
)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as name:
        folder = Path(name)
        file = folder / "channels.yml"
        file.write_text(text_of_channels(bad=BAD_ENTRY))
        line = file.read_text().splitlines().index("  timeout: 99") + 1
        refused = run(folder, "channels", "import", str(file), "--yes")
        figure("a mistake in entry 900: its line is named", f"line {line:,}:" in refused[1], "", 1)
        figure("channels after it", count(folder), "channels", 0, places=0)
        file.write_text(text_of_channels())
        for title in ("import", "import again, which changes nothing"):
            seconds, _ = run(folder, "channels", "import", str(file), "--yes")
            figure(f"{title}, {CHANNELS:,} channels", seconds, "s", TARGET, places=2)
        figure("channels then", count(folder), "channels", CHANNELS, places=0)


def text_of_channels(bad: int = 0) -> str:
    """Return a file of channels; the entry with the number `bad` has a mistake."""
    lines = ["tocsin: 1", "channels:"]
    for number in range(1, CHANNELS + 1):
        kind, url, options = KINDS[number % len(KINDS)]
        lines += [
            f"- name: Channel {number}",
            f"  kind: {kind}",
            f"  url: {url.format(number=number)}",
            f'  matchers: severity="critical", team="t{number}"',
        ]
        if options:
            lines.append(f"  {options}")
        if number == bad:
            lines.append("  timeout: 99")
    return "\n".join(lines)


def count(folder: Path) -> int:
    """Return the number of channels in the installation."""
    return run(folder, "channels", "export")[1].count("- name: ")


def run(folder: Path, *arguments: str) -> tuple[float, str]:
    """Run the command; return the seconds that it took, and what it printed."""
    environment = {**os.environ, "TOCSIN_DATA_DIR": str(folder / "data")}
    start = time.monotonic()
    command = [sys.executable, str(ROOT / "cli.py"), *arguments]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return time.monotonic() - start, result.stdout + result.stderr


if __name__ == "__main__":
    main()
