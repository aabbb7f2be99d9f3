"""Errors of media decoding: one class per cause, each with a stable code."""

import inspect


class MediaError(Exception):
    """This file could not be read."""

    code = "media_error"

    def __init__(self, detail: str = "") -> None:
        self.detail = detail
        super().__init__(f"{inspect.getdoc(self)} ({detail})" if detail else inspect.getdoc(self))


class MediaNotAFile(MediaError):
    """There is no ordinary file at this place. Upload the picture or video again."""

    code = "media_not_a_file"


class MediaEmpty(MediaError):
    """The file is empty. Upload it again; the first upload probably broke off."""

    code = "media_empty"


class MediaTypeNotSupported(MediaError):
    """This file type is not supported. Send JPEG, PNG, WebP, GIF, AVIF, HEIC, TIFF, BMP, MP4, MOV, WebM, MKV or AVI."""

    code = "media_type_not_supported"


class MediaCodecNotSupported(MediaError):
    """This video's codec is not supported. Convert it to H.264 in MP4 or VP9 in WebM."""

    code = "media_codec_not_supported"


class MediaTooLarge(MediaError):
    """The file is larger than this server accepts. Send a smaller or more compressed copy."""

    code = "media_too_large"


class MediaTooLong(MediaError):
    """The video or animation is longer than this server accepts. Cut it to the part that matters."""

    code = "media_too_long"


class MediaTooNarrow(MediaError):
    """One side is more than 200 times the other, which the guard cannot see. Crop the picture."""

    code = "media_too_narrow"


class MediaTruncated(MediaError):
    """The end of the file is missing. Upload it again."""

    code = "media_truncated"


class MediaCorrupt(MediaError):
    """The file is damaged and cannot be decoded. Export it again from its source."""

    code = "media_corrupt"


class MediaNoVideoStream(MediaError):
    """The file holds no pictures: sound or data only. Send the video itself."""

    code = "media_no_video_stream"


class MediaDecodeTimeout(MediaError):
    """Decoding took longer than this server allows. Send a shorter or smaller copy."""

    code = "media_decode_timeout"


class MediaOutOfMemory(MediaError):
    """Decoding needs more memory than this server allows. Send a copy with a lower resolution."""

    code = "media_out_of_memory"


class MediaDecoderCrashed(MediaError):
    """The decoder stopped on this file. Treat the file with suspicion, or convert it and send it again."""

    code = "media_decoder_crashed"


class MediaStorageFailed(MediaError):
    """The frames could not be written. Ask the operator to check disk space and permissions, then try again."""

    code = "media_storage_failed"


class MediaStoreAway(MediaStorageFailed):
    """The media store is not responding. It is retried automatically; ask the operator to check it."""

    code = "media_store_away"


class MediaNotStored(MediaError):
    """No complete set of decoded frames is stored here. Decode the source again."""

    code = "media_not_stored"


ERROR_BY_CODE: dict[str, type[MediaError]] = {kind.code: kind for kind in MediaError.__subclasses__()}
