"""The commands that talk to the Hub."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from tqdm import tqdm

from flowdemo import checkpoints
from flowdemo.hub import client, download, models, space
from flowdemo.hub.client import Progress

Private = Annotated[bool | None, typer.Option("--private/--public", help="Of a new repository.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")]


def followed(events: Iterator[Progress | Any]) -> Any:
    """What the events end in; progress is shown on standard error until then."""
    answer, bar = None, None
    for event in events:
        if isinstance(event, Progress):
            bar = tqdm(bar_format="{desc}", leave=False) if bar is None else bar
            bar.set_description_str(event.words)
        else:
            answer = event
    if bar is not None:
        bar.close()
    return answer


def pull(repo: Annotated[str, typer.Argument(help="NAME/MODEL[@REVISION] or a name.")]) -> None:
    """Has a model from the Hub, into the cache."""
    followed(download.fetch(repo, again=True))  # a branch may have moved on since the last time
    row = models.described(repo, checkpoints.folder_of(repo))
    if row["repo"]:
        print(f"{row['repo']}@{row['revision']}")
    print(models.verify(repo))


def push(
    model: str,
    repo: Annotated[str, typer.Argument(help="NAME/MODEL")],
    private: Private = None,
    dry_run: DryRun = False,
) -> None:
    """Sends a model and its card to the Hub; the same model again makes no commit."""
    with models.parcel(model, repo) as folder:
        if dry_run:
            listed(space.sizes(folder), repo)
            return
        answer = followed(client.push(folder, repo, private=private))
    print(client.sent(answer))


def deploy(
    repo: Annotated[str, typer.Argument(metavar="SPACE", help="NAME/SPACE")],
    hardware: Annotated[
        str, typer.Option(help="cpu-basic, zero-a10g, t4-small, ...; default: what it has")
    ] = "",
    private: Private = None,
    dry_run: DryRun = False,
) -> None:
    """Creates or updates a Space with this app and the weights that ship with it."""
    client.check_target(repo)
    if not hardware and not dry_run:  # the packages follow what the Space runs on
        hardware = followed(client.hardware_of(repo))["hardware"] or ""
    with space.parcel(hardware) as folder:
        if dry_run:
            listed(space.sizes(folder), repo)
            return
        how = {"kind": "space", "hardware": hardware or None, "private": private}
        answer = followed(client.push(folder, repo, message="Deploy FlowDemo", **how))
    print(client.sent(answer))


def delete(model: str) -> None:
    """Removes a model that was had from the Hub or trained here."""
    models.delete(model)
    print(f"{model} is removed")


def verify(model: str) -> None:
    """Reads a model anew and checks it."""
    print(models.verify(model))


def listed(files: dict[str, int], repo: str) -> None:
    """What would be sent."""
    for name, size in files.items():
        print(f"{size:>12,}  {name}")
    print(f"{sum(files.values()):>12,}  bytes in {len(files)} files would go to {repo}")


COMMANDS = (pull, push, deploy, delete, verify)
