//! Encodings in files: ours, and those that Python's scripts pickle (fixtures of `scripts/reference/encodings.py`).
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use nocturne::encodings::{self, Encoding, Encodings, EncodingsError, TextEncoder};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/encodings").join(name)
}

fn encoding(tokens: usize, dim: usize, first: f32) -> Encoding {
    Encoding { tokens, dim, values: (0..tokens * dim).map(|index| first + index as f32).collect() }
}

fn stored(all: &[(&str, Encoding)]) -> (tempfile::TempDir, Result<Encodings, EncodingsError>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("E.safetensors");
    let all: BTreeMap<String, Encoding> =
        all.iter().map(|(id, encoding)| ((*id).to_owned(), encoding.clone())).collect();
    encodings::write(&path, &all).unwrap();
    let opened = Encodings::open(&path);
    (folder, opened)
}

#[test]
fn every_published_form_is_read() {
    let expected = Encodings::open(&fixture("expected.safetensors")).unwrap();
    assert_eq!((expected.ids().len(), expected.dim()), (11, 6));
    let torch = ["torch-2.p", "torch-3.p", "torch-4.p", "torch-5.p", "ordered.p", "saved.pt", "legacy.pt"];
    let numpy = ["numpy-2.p", "numpy-3.p", "numpy-4.p", "numpy-5.p"];
    for name in torch.into_iter().chain(numpy) {
        let found = Encodings::open(&fixture(name)).unwrap();
        let missing = if numpy.contains(&name) { &["brain"][..] } else { &[] };
        let ids: Vec<&str> = expected.ids().filter(|id| !missing.contains(id)).collect();
        assert_eq!(found.ids().collect::<Vec<_>>(), ids, "{name}");
        for id in ids {
            assert_eq!(found.get(id), expected.get(id), "{name}: {id}");
        }
    }
    assert_eq!(expected.get("longer").unwrap().tokens, 3);
}

#[test]
fn what_is_written_is_read_again_and_sorted() {
    let all = [("z", encoding(1, 2, 0.5)), ("a b/ü.wav", encoding(4, 2, -3.0)), ("m\"\n", encoding(2, 2, 9.0))];
    let (folder, opened) = stored(&all);
    let opened = opened.unwrap();
    assert_eq!(opened.ids().collect::<Vec<_>>(), ["a b/ü.wav", "m\"\n", "z"]);
    for (id, encoding) in &all {
        assert_eq!(opened.get(id), Some(encoding));
    }
    let bytes = fs::read(folder.path().join("E.safetensors")).unwrap();
    let header = &bytes[8..8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize];
    let header: serde_json::Value = serde_json::from_slice(header).unwrap();
    assert_eq!(header["z"], serde_json::json!({"dtype": "F32", "shape": [1, 2], "data_offsets": [48, 56]}));
    let reserved = BTreeMap::from([("__metadata__".to_owned(), encoding(1, 1, 0.0))]);
    assert!(encodings::write(&folder.path().join("r.safetensors"), &reserved).is_err());
    assert!(!folder.path().join("r.safetensors").exists());
}

#[test]
fn an_id_is_found_exactly_then_by_its_file_then_without_its_extension() {
    let ids = ["x/a.wav", "y/a.wav", "y/b.mp3", "c", "d.flac", "e.v2", "deep\\f.wav", "g.wav", "g.mp3"];
    let all: Vec<(&str, Encoding)> = ids.iter().enumerate().map(|(i, id)| (*id, encoding(1, 1, i as f32))).collect();
    let (_folder, opened) = stored(&all);
    let opened = opened.unwrap();
    let found = |id: &str| opened.get(id).map(|encoding| ids[encoding.values[0] as usize]);
    for (id, expected) in [
        ("x/a.wav", Some("x/a.wav")),
        ("elsewhere/b.mp3", Some("y/b.mp3")),
        ("b.wav", Some("y/b.mp3")),
        ("data/c.wav", Some("c")),
        ("data/c.WAV", Some("c")),
        ("d", Some("d.flac")),
        ("e", None),
        ("e.v2", Some("e.v2")),
        ("f.wav", Some("deep\\f.wav")),
        ("z/g.mp3", Some("g.mp3")),
        ("a.wav", None),
        ("z/a.wav", None),
        ("g", None),
        ("", None),
    ] {
        assert_eq!(found(id), expected, "{id}");
    }
    for id in ["z/a.wav", "g"] {
        assert!(matches!(opened.lookup(id), Err(EncodingsError::Ambiguous { .. })), "{id}");
    }
    assert!(matches!(opened.lookup("nothing"), Err(EncodingsError::Absent { .. })));
}

#[test]
fn files_that_cannot_be_used_say_why() {
    let (_folder, mixed) = stored(&[("a", encoding(1, 2, 0.0)), ("b", encoding(1, 3, 0.0))]);
    assert!(mixed.unwrap_err().to_string().contains("\"b\": found width 3, expected 2 as of \"a\""));
    let (_folder, infinite) = stored(&[("a", Encoding { tokens: 1, dim: 1, values: [f32::NAN].into() })]);
    assert!(infinite.unwrap_err().to_string().contains("not finite"));
    let (_folder, flat) = stored(&[("a", encoding(0, 3, 0.0))]);
    assert!(flat.unwrap_err().to_string().contains("[0, 3]"));
    let (_folder, empty) = stored(&[]);
    assert!(matches!(empty, Err(EncodingsError::Empty { .. })));
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("text.p", &b"hello"[..]),
        ("nothing.p", b""),
        ("dictionary.p", b"\x80\x04}."),
        ("cut.safetensors", b"\xff\0\0\0\0\0\0\0{}"),
        ("call.pkl", b"\x80\x04cos\nsystem\n\x8c\x02ls\x85R."),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let message = Encodings::open(&path).unwrap_err().to_string();
        assert!(message.contains(name) && !message.contains('\n'), "{message}");
    }
    assert!(matches!(Encodings::open(&folder.path().join("none.p")), Err(EncodingsError::Io { .. })));
}

/// Captions of any lengths are encoded as each alone, to rounding, and keep their order.
#[test]
fn a_batch_of_captions_is_encoded_as_each_alone() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tests/fixtures/t5/flan");
    let encoder = TextEncoder::open(&folder, Some(12), &Device::flex()).unwrap();
    let words = ["soft", "rain", "on", "a", "tin", "roof", "at", "night"];
    let texts: Vec<String> = (0..11).map(|index| words[..index * 5 % 9].join(" ")).collect();
    let alone: Vec<_> = texts.iter().map(|text| encoder.encode(text).unwrap()).collect();
    assert!(alone.iter().any(|(_, cut)| *cut) && alone.iter().any(|(_, cut)| !*cut));
    for batch_size in [1, 4, 100] {
        let mut told = Vec::new();
        let together = encoder.encode_all(&texts, batch_size, |done| {
            told.push(done);
            ControlFlow::Continue(())
        });
        assert_eq!(told.last(), Some(&11));
        assert_eq!(told.len(), 11_usize.div_ceil(batch_size));
        for ((together, cut), (alone, alone_cut)) in together.unwrap().unwrap().iter().zip(&alone) {
            assert_eq!((together.tokens, together.dim, cut), (alone.tokens, alone.dim, alone_cut));
            let pairs = together.values.iter().zip(alone.values.iter());
            let error = pairs.fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
            let spread = alone.values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            assert!(error < 1e-5 * spread, "off by {error} of {spread} in batches of {batch_size}");
        }
    }
    assert!(encoder.encode_all(&texts, 2, |_| ControlFlow::Break(())).unwrap().is_none());
}
