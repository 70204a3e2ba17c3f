"""Reads what `nocturne prepare` wrote with Python's `datasets`, or writes what the published scripts write.

    datasets_roundtrip.py read FOLDER    checks FOLDER/{image,mel}-{arrow,parquet} against FOLDER/*.values
    datasets_roundtrip.py write FOLDER   makes FOLDER/{image,mel}-{saved,hub,single} and FOLDER/{image,mel}.values

`*.values` are all mels one after the other: bytes of the pixels, or little-endian float32 in [-1, 1].
"""

import io
import sys
from pathlib import Path

import datasets
import numpy as np
from datasets import Array3D, Dataset, DatasetDict, Features, Image, List, Value
from PIL import Image as Picture

LOW, HIGH = np.float32(-11.5129), np.float32(2.1)


def unit(mel):
    return (np.clip(mel, LOW, HIGH) - LOW) / (HIGH - LOW) * np.float32(2) - np.float32(1)


def check(rows, name, values):
    features = rows.features
    assert features["audio_file"] == Value("string"), features
    assert features["slice"] == Value("int16"), features
    assert features["start_seconds"] == Value("float64"), features
    if name == "image":
        assert features["image"] == Image(), features
        assert features["reference_level"] == Value("float32"), features
        assert all(row["image"].mode == "L" for row in rows)
        found = np.stack([np.asarray(row["image"]) for row in rows])
        assert found.tobytes() == values, "pixels differ"
        assert all(row["reference_level"] > 0 for row in rows)
        # A vector for each recording.
        assert features["encoding"] == List(Value("float32")), features
        assert all(row["encoding"] == [int(Path(row["audio_file"]).stem), 0.5] for row in rows)
    else:
        # Two tokens for each recording.
        assert features["encoding"] == List(List(Value("float32"))), features
        assert all(row["encoding"] == [[int(Path(row["audio_file"]).stem)], [0.5]] for row in rows)
        assert features["mel"] == Array3D(shape=(1, 80, 24), dtype="float32"), features
        found = unit(np.asarray(rows.with_format("numpy")["mel"][:], dtype=np.float32)).ravel()
        expected = np.frombuffer(values, dtype="<f4")
        assert found.shape == expected.shape, (found.shape, expected.shape)
        assert np.abs(found - expected).max() < 1e-6
    assert {Path(row["audio_file"]).name for row in rows} == {f"{i}.wav" for i in range(5)}
    first = [row["slice"] for row in rows if row["audio_file"].endswith("4.wav")]
    assert first == list(range(len(first))), first


def read(folder):
    for name in ("image", "mel"):
        arrow = datasets.load_from_disk(str(folder / f"{name}-arrow"))
        assert list(arrow) == ["train"], arrow
        check(arrow["train"], name, (folder / f"{name}-arrow.values").read_bytes())
        parquet = datasets.load_dataset(
            "parquet", data_dir=str(folder / f"{name}-parquet"), split="train", cache_dir=str(folder / "cache")
        )
        check(parquet, name, (folder / f"{name}-parquet.values").read_bytes())


def png(pixels):
    out = io.BytesIO()
    Picture.fromarray(pixels).save(out, format="PNG")
    return out.getvalue()


def write(folder):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (7, 16, 24), dtype=np.uint8)
    mels = rng.uniform(-12, 2.5, (7, 1, 16, 24)).astype(np.float32)
    (folder / "image.values").write_bytes(pixels.tobytes())
    (folder / "mel.values").write_bytes(unit(mels).astype("<f4").tobytes())
    rest = [{"audio_file": f"music/{i // 3}.mp3", "slice": i % 3} for i in range(7)]
    published = {"audio_file": Value("string"), "slice": Value("int16")}
    image = [{"image": {"bytes": png(p)}} | row for p, row in zip(pixels, rest)]
    mel = [{"mel": m} | row for m, row in zip(mels, rest)]
    kinds = {
        "image": (image, Features({"image": Image()} | published)),
        "mel": (mel, Features({"mel": Array3D(shape=(1, 16, 24), dtype="float32")} | published)),
    }
    for name, (rows, features) in kinds.items():
        made = Dataset.from_list(rows, features=features)
        DatasetDict({"train": made}).save_to_disk(str(folder / f"{name}-saved"), num_shards={"train": 2})
        made.save_to_disk(str(folder / f"{name}-single"))
        hub = folder / f"{name}-hub" / "data"
        hub.mkdir(parents=True)
        for index in range(2):
            shard = made.shard(num_shards=2, index=index, contiguous=True)
            shard.to_parquet(str(hub / f"train-{index:05}-of-00002-0123456789abcdef.parquet"))


if __name__ == "__main__":
    {"read": read, "write": write}[sys.argv[1]](Path(sys.argv[2]))
