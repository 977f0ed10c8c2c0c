"""`ml-agent serve`: a trained policy as an OpenAI-compatible endpoint."""

import os
from typing import TYPE_CHECKING

import typer

from ml_agent.cli.options import run_folder
from ml_agent.cli.progress import say
from ml_agent.core.errors import UsageError

if TYPE_CHECKING:
    from ml_agent.models.local import LocalModel

_POLICY = typer.Option(
    "",
    "--policy",
    metavar="RUN",
    help="Name of a run, or its folder. [default: the embedded model as it is]",
    show_default=False,
)
_CHECKPOINT = typer.Option(
    "",
    "--checkpoint",
    help="sft, rl (the last of practice), step-N or base. [default: the last there is]",
    show_default=False,
)
_HOST = typer.Option("127.0.0.1", "--host", help="Where to listen.")
_PORT = typer.Option(8000, "--port", min=0, max=65535, help="0: any that is free.")
_KEY_ENV = typer.Option(
    "",
    "--key-env",
    help="Environment variable that holds a key; who does not send it is refused.",
    show_default=False,
)
_KEY_FILE = typer.Option("", "--key-file", help="File that holds the key.", show_default=False)


def serve(
    policy: str = _POLICY,
    checkpoint: str = _CHECKPOINT,
    host: str = _HOST,
    port: int = _PORT,
    key_env: str = _KEY_ENV,
    key_file: str = _KEY_FILE,
) -> None:
    """Answer OpenAI's chat requests with a policy of a run, until Ctrl-C.

    Example: ml-agent serve --policy quickstart --checkpoint rl

    Any tool that speaks to OpenAI speaks to it: see docs/serve.md.
    """
    from ml_agent.models.http import read_key
    from ml_agent.models.http.endpoint import is_local
    from ml_agent.models.serving import serving

    key = read_key(env=key_env, file=key_file)
    if not is_local(host):
        open_to_all = "" if key else " There is no key (--key-env): all of them may ask."
        say(
            f"WARNING: --host {host}: other machines can reach this, and what is said can be read "
            f"on the way.{open_to_all}"
        )
    model = _loaded(policy, checkpoint)
    try:
        with serving(model, host=host, port=port, key=key) as server:
            say(f"serving {model.policy} at {server.url}  (Ctrl-C ends it)")
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                say("stopping: answers under way are finished; Ctrl-C again does not wait for them")
    except KeyboardInterrupt:
        say("stopped at once")
        # Python's own way to end aborts where a thread is inside a native library.
        os._exit(130)
    say("stopped")


def _loaded(run: str, checkpoint: str) -> "LocalModel":
    from ml_agent.cli.policies import import_torch, policy_of

    if run:
        return policy_of(run_folder(run), checkpoint)
    if checkpoint not in {"", "base"}:
        raise UsageError(f"--checkpoint {checkpoint} is of a run: name it with --policy RUN")
    import_torch()
    from ml_agent.models.embedded import EMBEDDED
    from ml_agent.models.local import LocalModel

    return LocalModel.load(EMBEDDED)
