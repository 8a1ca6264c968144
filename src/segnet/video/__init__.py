"""Frames in, frames out: a video with the classes laid over it, its sound and its time stamps kept (extra `video`).

decode (a thread) -> at most 8 frames -> model -> at most 8 frames -> overlay, encode, write (a thread)
"""

from pathlib import Path

from segnet.video.writing import overlay_suffix

__all__ = ["VIDEO_SUFFIXES", "is_video", "overlay_suffix"]

VIDEO_SUFFIXES = (
    ".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .mpe .m2v .ts .mts .m2ts .wmv .flv .ogv .3gp .mxf .vob .h264 .264 .hevc"
).split()


def is_video(path: Path) -> bool:
    """Whether a path is named as videos are."""
    return path.suffix.lower() in VIDEO_SUFFIXES
