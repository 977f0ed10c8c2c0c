"""Products of few rows with large weights, as fast as a processor does them.

`x @ W.T` is what a linear layer asks for. With few rows, libraries spend most of the time on
rearranging W, each time anew; asked for `(W @ x.T).T`, the same sums, they take W as it lies.
Measured by `bench/decoding.py`.
"""

from typing import Any

from torch import Tensor, nn

FEW = 64
"""Rows up to which it pays: writing answers does, reading prompts does not."""

_ALIGNED = 64
"""Bytes that torch aligns memory to, and a mapped file does not."""


class FewRows(nn.Linear):
    """A linear layer that is faster for few rows, and for many what it was."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        rows_NI = input.reshape(-1, input.shape[-1])
        if len(rows_NI) > FEW:
            return super().forward(input)
        out_NO = (self.weight @ rows_NI.t()).t()
        if self.bias is not None:
            out_NO = out_NO + self.bias
        # What lies in memory otherwise is summed otherwise further on, in the last bit.
        return out_NO.contiguous().view(*input.shape[:-1], self.out_features)


def expect_few_rows(network: Any) -> None:
    """Have all linear layers of a network compute as `FewRows`; their weights stay as they are.

    Weights are moved to where torch would put them: elsewhere the last bit of a product may differ,
    and a copy of the weights would not be quite the same policy.
    """
    for module in network.modules():
        if type(module) is nn.Linear:
            module.__class__ = FewRows
            if module.weight.data_ptr() % _ALIGNED:
                module.weight.data = module.weight.data.clone()
