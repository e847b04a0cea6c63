"""Video ids become file names and HDF5 names, so they must be safe as both."""

from __future__ import annotations

from runtime.errors import InputError


def refuse_unsafe_id(video_id: str, origin: str) -> None:
    """Check that an id can be a file name as it is; an id may start with "-".

    Args:
        video_id: from an annotation file or a user.
        origin: where it was found, for the message.

    Raises:
        InputError: for "../x", "/x", "a/", "", ".hidden" and control characters.
    """
    unsafe = (
        not video_id
        or video_id.startswith(".")
        or any(character in "/\\" or not character.isprintable() for character in video_id)
    )
    if unsafe:
        raise InputError(
            f"{origin}: unsafe video id {video_id!r}: expected printable characters, no / or \\, "
            "no dot in front; rename the video"
        )
