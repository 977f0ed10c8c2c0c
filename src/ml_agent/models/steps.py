"""Steps of writing: every row's newest token goes through the network.

A processor computes each step anew, and only for rows that have not ended. On a GPU a small model's
step is over sooner than it is asked for, operation by operation: there one step is recorded (a CUDA
graph) and repeated, for all rows to the end.
"""

import logging
from typing import Any

import torch
from torch import Tensor

from ml_agent.models.attention import DecodeLayout, FixedDecodeLayout, PrefillLayout

logger = logging.getLogger(__name__)


class Steps:
    """Each step computed anew.

    Attributes:
        rows_may_leave: Whether `keep` may be called.
    """

    rows_may_leave = True

    def __init__(self, network: Any, layout: DecodeLayout) -> None:
        """Begin after the prompts.

        Args:
            network: A causal language model made ready by `use_layouts`.
            layout: Of the rows.
        """
        self._network = network
        self._layout = layout

    def feed(self, token_R: Tensor, position_R: Tensor) -> Tensor:
        """Append a token to each row.

        Args:
            token_R: Which.
            position_R: Where in its own sequence.

        Returns:
            [R, C] hidden states that the next token is predicted from; good until the next step.
        """
        hidden_R1C: Tensor = self._network.base_model(
            input_ids=token_R[:, None],
            position_ids=position_R[:, None],
            use_cache=False,
            layout=self._layout,
        ).last_hidden_state
        self._layout.advance()
        return hidden_R1C[:, -1]

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these, ascending."""
        self._layout.keep(rows)


class RecordedSteps(Steps):
    """The first step computed as it comes, the second recorded, all others repeated.

    Where a network's step cannot be recorded, as one that decides by a number it has computed, each
    is computed as it comes.
    """

    rows_may_leave = False

    def __init__(self, network: Any, layout: FixedDecodeLayout) -> None:
        """Begin after the prompts; for the arguments see `Steps`."""
        super().__init__(network, layout)
        self._begun = False
        self._can_record = True
        self._graph: torch.cuda.CUDAGraph | None = None

    def feed(self, token_R: Tensor, position_R: Tensor) -> Tensor:
        """See `Steps`."""
        # Libraries set themselves up in a first step, which cannot be recorded.
        if self._begun and self._can_record and self._graph is None:
            self._record(token_R, position_R)
        self._begun = True
        if self._graph is None:
            return super().feed(token_R, position_R)
        self._token_R.copy_(token_R)
        self._position_R.copy_(position_R)
        self._graph.replay()
        return self._hidden_RC

    def keep(self, rows: Tensor) -> None:
        """Refuse: what is recorded is for all rows.

        Raises:
            NotImplementedError: Always; see `rows_may_leave`.
        """
        raise NotImplementedError("rows of recorded steps stay to the end")

    def _record(self, token_R: Tensor, position_R: Tensor) -> None:
        self._token_R, self._position_R = token_R.clone(), position_R.clone()
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            # Other threads may use the GPU meanwhile: only this one's work is recorded.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._hidden_RC = super().feed(self._token_R, self._position_R)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            # A recording that failed leaves its own stream behind.
            torch.cuda.set_stream(stream)
            logger.info("steps are computed one by one: %s", error)
            self._can_record = False
        else:
            self._graph = graph


def steps_after(
    network: Any, prompts: list[PrefillLayout], prompt_R: Tensor, *, room: int
) -> Steps:
    """What suits the device.

    Args:
        network: A causal language model made ready by `use_layouts`.
        prompts: What was read of each.
        prompt_R: [R] which of them each row continues.
        room: Steps there will be at most.
    """
    if prompt_R.device.type == "cuda":
        return RecordedSteps(network, FixedDecodeLayout(prompts, prompt_R, room))
    return Steps(network, DecodeLayout(prompts, prompt_R))
