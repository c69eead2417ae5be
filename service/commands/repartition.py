"""`rebuild --repartition`: view and ledger laid out for other partitions, and told how it goes."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.progress import Progress, TaskID

from service import maintenance
from service.commands.console import CommandError, agreed, bars, notices
from service.layouts import Prospect
from service.maintenance import Step
from service.processing.dead_letters import Allowance
from service.settings import Settings


async def repartition(settings: Settings, before: Settings, allowance: Allowance, *, yes: bool) -> None:
    """Do it, with progress on standard error; raise `CommandError` where it is declined."""
    console = notices()

    with bars(console) as progress:
        telling = Telling(console, progress)

        def confirm(prospect: Prospect) -> bool:
            for line in planned(prospect, settings):
                console.print(line)
            return agreed(progress, yes=yes or prospect.is_done)

        if not await maintenance.repartition(settings, before, confirm, telling.tell, allowance):
            raise CommandError("nothing was done")
        telling.end()
    console.print(
        "View, ledger and snapshots are laid out as the input is: start the workers, then producers."
    )


def planned(prospect: Prospect, settings: Settings) -> Iterator[str]:
    """Say what is going to be done."""
    topics = ", ".join(settings.input_topics)
    if prospect.is_done:
        yield (
            f"View and ledger are laid out for the {prospect.new} partitions of {topics}. If there are to be "
            "others, add them to the topics first."
        )
        return
    if prospect.old == prospect.new and not prospect.is_begun:
        yield (
            f"View and ledger are laid out for the {prospect.new} partitions of {topics}, and some EVSEs "
            "were first heard in another one than their own."
        )
    else:
        yield f"View and ledger are laid out for {prospect.old} partitions, and {topics} has {prospect.new}."
    if prospect.is_begun:
        yield "That was begun before, and goes on where it was."
        return
    yield (
        f"Of {prospect.evses} EVSEs {prospect.moving} come to another partition, as "
        f"{settings.input_partitioner} puts them (EVSE_STATUS_INPUT_PARTITIONER)."
    )
    if prospect.waits:
        yield f"What waits in the log ({prospect.waits} offsets) is processed first, here."
    yield "Nobody may write to the log until this is done."


class Telling:
    """Shows each step as a bar, or as lines where nobody looks."""

    def __init__(self, console: Console, progress: Progress) -> None:
        self._console = console
        self._progress = progress
        self._bars: dict[str, TaskID] = {}
        self._last: Step | None = None

    def tell(self, step: Step) -> None:
        """Show how far a step is."""
        if self._last is not None and self._last.words != step.words:
            self.end()
        if step.words not in self._bars:
            self._bars[step.words] = self._progress.add_task(step.words, total=step.of)
        self._progress.update(self._bars[step.words], completed=step.reached, total=step.of)
        self._last = step

    def end(self) -> None:
        """End the bar of the last step; where none shows it, say how far that has come."""
        last = self._last
        if last is not None:
            self._progress.update(self._bars[last.words], completed=last.reached, total=last.reached)
        if last is not None and not self._console.is_terminal:
            of = "" if last.of is None else f" of {last.of}"
            self._console.print(f"{last.words}: {last.reached}{of}")
        self._last = None
