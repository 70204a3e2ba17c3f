"""Reads a log folder with TensorBoard's own reader and prints what it found as JSON."""

import json
import struct
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def main() -> None:
    accumulator = EventAccumulator(sys.argv[1], size_guidance={"tensors": 0, "images": 0, "audio": 0, "scalars": 0})
    accumulator.Reload()
    tags = accumulator.Tags()
    image = accumulator.Images("samples/0")[0]
    audio = accumulator.Audio("samples/0/audio")[0]
    found = {
        "scalars": {tag: [[e.step, e.value] for e in accumulator.Scalars(tag)] for tag in tags["scalars"]},
        "image": {
            "step": image.step,
            "width": image.width,
            "height": image.height,
            "png_size": struct.unpack(">II", image.encoded_image_string[16:24]),
        },
        "audio": {
            "step": audio.step,
            "sample_rate": audio.sample_rate,
            "frames": audio.length_frames,
            "content_type": audio.content_type,
            "riff": audio.encoded_audio_string[:4].decode(),
        },
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
