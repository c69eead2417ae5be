"""`schemas`: the contracts as JSON Schema and AsyncAPI."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from schemas import generate
from service.commands.console import CommandError, notices, results


def schemas(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Print this document, for example asyncapi or snapshot."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FOLDER", help="Write all documents into this folder.")
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Exit with 1 if a document in --output (or the package) is stale."),
    ] = False,
) -> None:
    """Give JSON Schema for every model and one AsyncAPI document; without options, list their names."""
    if check:
        _check(output)
    elif output is not None:
        _write(output)
    elif name is not None:
        _print(name)
    else:
        for file in sorted(generate.documents()):
            results().print(file.removesuffix(".json"), markup=False)


def _check(folder: Path | None) -> None:
    outdated = _stale(folder or generate.FOLDER)
    if outdated:
        names = ", ".join(path.name for path in outdated)
        remedy = f"run `evse-status schemas --output {folder or generate.FOLDER}`"
        raise CommandError(f"{len(outdated)} documents are not what the models give ({names}); {remedy}")


def _write(folder: Path) -> None:
    try:
        changed = _stale(folder)
        folder.mkdir(parents=True, exist_ok=True)
        wanted = generate.documents()
        for path in changed:
            if path.name in wanted:
                path.write_text(wanted[path.name], encoding="utf-8")
            else:
                path.unlink()
    except OSError as error:
        raise CommandError(f"cannot write {folder}: {error.strerror}; choose another --output") from error
    for path in changed:
        notices().print(f"written: {path}" if path.name in wanted else f"removed: {path}", markup=False)
    if not changed:
        notices().print(f"up to date: {folder}", markup=False)


def _stale(folder: Path) -> list[Path]:
    """Name the documents that differ; more is ours to remove in the package's own folder alone."""
    ours = folder.resolve() == generate.FOLDER.resolve()
    names = generate.documents().keys()
    return [path for path in generate.stale(folder) if ours or path.name in names]


def _print(name: str) -> None:
    documents = generate.documents()
    file = name.removesuffix(".json") + ".json"
    if file not in documents:
        raise typer.BadParameter(
            f"there is no {name!r}; `evse-status schemas` lists what there is", param_hint="NAME"
        )
    typer.echo(documents[file], nl=False)
