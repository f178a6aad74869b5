"""What one simulated file holds: in the page cache, on the platter, and on the way between."""

from random import Random

SECTOR = 512
SCATTERED = 0.3
"""How often a power cut leaves any sectors of what was not synced, and not a prefix."""


class Write:
    """Bytes written at an offset."""

    def __init__(self, offset: int, data: bytes) -> None:
        self.offset = offset
        self.data = data

    def apply(self, image: "Image") -> None:
        """All of it reaches the image."""
        image.put(self.offset, self.data)

    def tear(self, image: "Image", rng: Random) -> None:
        """Some of its sectors reach the disk, others do not."""
        at, end = self.offset, self.offset + len(self.data)
        while at < end:
            border = min(end, (at // SECTOR + 1) * SECTOR)
            if rng.random() < 0.5:
                image.put(at, self.data[at - self.offset : border - self.offset])
            at = border


class Resize:
    """A truncate, or (with `grow_only`) an allocation."""

    def __init__(self, size: int, grow_only: bool) -> None:
        self.size = size
        self.grow_only = grow_only

    def apply(self, image: "Image") -> None:
        """It reaches the image."""
        if not self.grow_only or self.size > image.size:
            del image.data[self.size :]
            image.size = self.size

    def tear(self, image: "Image", rng: Random) -> None:
        """It reaches the image, or not."""
        if rng.random() < 0.5:
            self.apply(image)


class Image:
    """Bytes of a file; those behind `data` up to `size` are zero and take no memory."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.size = 0

    def put(self, offset: int, data: bytes) -> None:
        """Write."""
        if offset > len(self.data):
            self.data.extend(bytes(offset - len(self.data)))
        self.data[offset : offset + len(data)] = data
        self.size = max(self.size, len(self.data))

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes."""
        end = min(self.size, offset + size)
        found = bytes(self.data[offset:end])
        return found + bytes(max(0, end - offset - len(found)))

    def copy(self) -> "Image":
        """Another one with the same bytes."""
        image = Image()
        image.data, image.size = bytearray(self.data), self.size
        return image


class Inode:
    """A file, whatever its name is."""

    def __init__(self) -> None:
        self.cached = Image()
        self.durable = Image()
        self.unsynced: list[Write | Resize] = []

    def change(self, operation: Write | Resize) -> None:
        """It happens in the cache; the platter does not know yet."""
        operation.apply(self.cached)
        self.unsynced.append(operation)

    def sync(self) -> None:
        """All of it reaches the platter."""
        for operation in self.unsynced:
            operation.apply(self.durable)
        self.unsynced.clear()

    def lose_power(self, rng: Random) -> None:
        """A prefix of what was not synced reached the platter, perhaps a torn write behind it.

        Or some sectors of each of them: a kernel writes dirty pages back in any order.
        """
        kept = rng.randint(0, len(self.unsynced))
        scattered = kept < len(self.unsynced) and rng.random() < SCATTERED
        for operation in self.unsynced[:kept]:
            if scattered:
                operation.tear(self.durable, rng)
            else:
                operation.apply(self.durable)
        for operation in self.unsynced[kept:] if scattered else self.unsynced[kept : kept + 1]:
            operation.tear(self.durable, rng)
        self.unsynced.clear()
        self.cached = self.durable.copy()
