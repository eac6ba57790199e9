"""An engine without DeepSpeed, for a head on features: a linear layer in the memory of one process on a CPU,
for which DeepSpeed's own cost would be most of a step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysweep.spec import Optimization
from raysweep.training.engine import Engine, decay_groups
from raysweep.training.state_files import StateFiles

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class PlainEngine(Engine):
    """A module being trained by torch alone, in float32. It has the methods of `Engine` that training a head
    needs; the process is rank 0 of 1."""

    def __init__(self, module: torch.nn.Module, optimization: Optimization) -> None:
        import torch

        self._module = module
        self._clipping = optimization.gradient_clipping
        self._optimizer = torch.optim.AdamW(
            decay_groups(list(module.parameters()), optimization.weight_decay),
            lr=optimization.learning_rate,
            betas=optimization.betas,
            eps=optimization.epsilon,
            weight_decay=optimization.weight_decay,
            fused=True,
        )
        self.accumulation = 1
        self.world_size = 1
        self.rank = 0
        self.device = torch.device("cpu")
        self.is_sharded = False

    @property
    def module(self) -> Any:
        """The module itself."""
        return self._module

    def forward(self, **inputs: Tensor) -> Tensor:
        """What the module makes of a batch."""
        made: Tensor = self._module(**inputs)
        return made

    def train_mode(self, training: bool) -> None:
        """Switch between training and evaluation."""
        self._module.train(training)

    def backward(self, loss: Tensor) -> None:
        """Compute the gradient of the loss of the global batch."""
        loss.backward()  # type: ignore[no-untyped-call]

    def step(self, learning_rate: float) -> None:
        """Clip and update."""
        import torch

        if self._clipping:
            torch.nn.utils.clip_grad_norm_(self._module.parameters(), self._clipping)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        self._optimizer.zero_grad()

    @property
    def has_skipped_steps(self) -> bool:
        """No step is skipped."""
        return False

    def barrier(self) -> None:
        """There is nobody to wait for."""

    def save_checkpoint(self, folder: Path) -> Mapping[Path, str]:
        """Write the states of module and optimizer below `folder`; returns as `Engine.save_checkpoint`."""
        folder.mkdir(parents=True)
        files = StateFiles([])
        files.save([self._module.state_dict(), self._optimizer.state_dict()], str(folder / "state.pt"))
        return files.checksums

    def load_checkpoint(self, folder: Path) -> None:
        """Read what `save_checkpoint` wrote."""
        import torch

        module, optimizer = torch.load(folder / "state.pt", weights_only=True)
        self._module.load_state_dict(module)
        self._optimizer.load_state_dict(optimizer)

    def close(self) -> None:
        """Nothing to free."""
