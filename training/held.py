"""What the items of a small data set are made of, kept in memory: later epochs read no files for it.

Opening a file or a data set in it takes longer than all the arithmetic of a small item. Each
process, a loader process too, keeps up to `HELD_BYTES` of the training set and as much of the
validation set; what does not fit is read again every time, so that memory does not grow with the
data set.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from torch import Tensor
from torch.utils.data import Dataset

from training.batches import ItemKey

HELD_BYTES = 256 * 2**20
Value = TypeVar("Value")


class Held(Generic[Value]):
    """Values by their keys, as many as fit.

    Args:
        room_bytes: for all of them together.
    """

    def __init__(self, room_bytes: int = HELD_BYTES) -> None:
        self._room_bytes = room_bytes
        self._values: dict[Hashable, Value] = {}

    def get(self, key: Hashable) -> Value | None:
        """Return what is kept under a key, None if nothing is."""
        return self._values.get(key)

    def fits(self, num_bytes: int) -> bool:
        """Whether there is still room."""
        return num_bytes <= self._room_bytes

    def keep(self, key: Hashable, value: Value, num_bytes: int) -> None:
        """Keep a value if it fits; nobody may change it then."""
        if key not in self._values and self.fits(num_bytes):
            self._room_bytes -= num_bytes
            self._values[key] = value


class HeldItems(Dataset[dict[str, Tensor]]):
    """A data set whose items are alike in every epoch: each is made once, while they fit.

    Args:
        dataset: map-style, keys are `ItemKey`.
    """

    def __init__(self, dataset: Dataset[dict[str, Tensor]]) -> None:
        self.dataset = dataset
        self._held: Held[dict[str, Tensor]] = Held()

    def __getitem__(self, key: ItemKey) -> dict[str, Tensor]:
        """Return an item, whatever the epoch."""
        item = self._held.get(key[1])
        if item is None:
            item = self.dataset[key]
            self._held.keep(key[1], item, sum(value.nbytes for value in item.values()))
        return item
