"""Segments videos: draws the classes over every frame and keeps audio and timestamps (extra `video`).

decode (thread) -> queue of 8 frames -> model -> queue of 8 frames -> overlay, encode, write (thread)
"""

from pathlib import Path

from segnet.video.writing import overlay_suffix

__all__ = ["VIDEO_SUFFIXES", "is_video", "overlay_suffix"]

VIDEO_SUFFIXES = (
    ".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .mpe .m2v .ts .mts .m2ts .wmv .flv .ogv .3gp .mxf .vob .h264 .264 .hevc"
).split()


def is_video(path: Path) -> bool:
    """Returns whether a path has the suffix of a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES
