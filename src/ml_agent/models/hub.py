"""What is asked of the Hugging Face hub, and what is said where it cannot give it."""

from collections.abc import Iterator
from contextlib import contextmanager

from ml_agent.core.errors import DiskFull, ModelError, UsageError, is_full


@contextmanager
def asking_hub(kind: str, name: str, *, otherwise: str) -> Iterator[None]:
    """Say in one line why a name cannot be had.

    Args:
        kind: What is looked for: "model".
        name: Its name.
        otherwise: What else can be given, to end a sentence that begins with "give".

    Raises:
        UsageError: It is no name that the hub has, or could have.
        ModelError: It is not on this machine, and cannot be fetched, or not without a token.
        DiskFull: There is no space to keep it.
    """
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
    )

    try:
        yield
    except HFValidationError as error:
        raise UsageError(f"{name!r} is neither a folder nor a name on the hub: {error}") from error
    except GatedRepoError as error:
        raise ModelError(
            f"there is no {kind} {name!r} on this machine, and the Hugging Face hub gives it to "
            "those alone who accept its conditions. Accept them on its page there and set HF_TOKEN "
            f"to a token of your account, or give {otherwise}."
        ) from error
    except RepositoryNotFoundError as error:
        # Without a token, the hub says 401 of what is private as of what it does not have.
        refused = ModelError if error.response.status_code == 401 else UsageError
        raise refused(
            f"there is no {kind} {name!r} on this machine, and the Hugging Face hub has none of "
            f"that name, or shows it to nobody without a token. Check the name, set HF_TOKEN, or "
            f"give {otherwise}."
        ) from error
    except Exception as error:
        if isinstance(error, OSError) and is_full(error):
            raise DiskFull(
                f"there is no space for the {kind} {name!r}. Free some, and run it again"
            ) from error
        raise ModelError(
            f"there is no {kind} {name!r} on this machine, and the Hugging Face hub cannot give it "
            f"({type(error).__name__}). Check the name and the connection, or give {otherwise}."
        ) from error
