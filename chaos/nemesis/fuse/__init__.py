"""A file system in memory whose disk can fail, and lose what was not synced.

It speaks the kernel's protocol (include/uapi/linux/fuse.h, version 7.31) over /dev/fuse itself. The
bindings on PyPI need the system's libfuse beside them, and give neither the flags of a write, which
tell a durable one from another, nor a way to hold one answer back while others go out; what is
needed of the protocol is hardly more than the glue would be.

- `wire`: the kernel's structures.
- `tree`: files and folders, each as it is and as it would be after a power cut.
- `server`: answers the kernel, and fails as the controls say.
- `mounting`: attaches it, and detaches it for sure.
"""
