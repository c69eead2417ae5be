"""
The tables of README.md that are made from the code: settings and metrics.

`python -m tests.readme` writes them; a test fails when they are stale.
"""

from __future__ import annotations

from pathlib import Path

from service.adapters.prometheus import markdown_table
from service.settings import PREFIX, Settings

README = Path(__file__).parents[1] / "README.md"


def settings_table() -> str:
    """Give a row for each setting: variable, default, meaning."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    defaults = dict(Settings.model_construct().effective())
    for name, field in Settings.model_fields.items():
        variable = PREFIX + name.upper()
        default = f"`{defaults[variable]}`" if defaults[variable] else ""
        rows.append(f"| `{variable}` | {default} | {field.description} |")
    return "\n".join(rows)


def with_tables(text: str) -> str:
    """Put the tables between their marks."""
    for name, table in (("settings", settings_table()), ("metrics", markdown_table().strip())):
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}"
    return text


def explained_in_readme(text: str) -> str:
    """Give what README.md shows as the output of `explain`."""
    _, _, rest = text.partition("$ evse-status explain charger-1 --connector c1\n")
    return rest.partition("\n```")[0]


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
