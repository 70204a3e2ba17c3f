#![allow(clippy::unwrap_used)]
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::random::Random;

use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/saved_tensors").join(name)
}

/// Written by `scripts/reference/saved_tensors.py`.
#[test]
fn reads_what_pytorch_wrote() {
    let expected = Checkpoint::open(&fixture("expected.safetensors")).unwrap();
    for (name, count) in [("one.pt", 1), ("list.pt", 4), ("tuple.pt", 2), ("dumped.p", 2), ("array.p", 1)] {
        let found = read(&fixture(name)).unwrap();
        assert_eq!(found.len(), count, "{name}");
        for (index, (shape, values)) in found.iter().enumerate() {
            let key = format!("{name}.{index}");
            assert_eq!(Some(&shape[..]), expected.shape(&key), "{key}");
            assert_eq!(values, &expected.read(&key).unwrap(), "{key}");
        }
    }
}

#[test]
fn what_is_no_tensor_is_named() {
    let message = |name: &str| read(&fixture(name)).unwrap_err().to_string();
    assert!(message("dictionary.pt").contains("dictionary.pt: not a saved tensor: found a dictionary"));
    assert!(message("whole_numbers.pt").contains("expected a tensor"));
    assert!(message("nowhere.pt").contains("nowhere.pt"));
    assert!(parse(b"").is_err() && parse(b"PK").is_err() && parse(b"RIFF").is_err());
}

/// Whatever the bytes, an answer: neither a panic, nor more numbers than bytes.
#[test]
fn damaged_files_are_answered() {
    let mut random = Random::new(1, "damage", 0);
    for name in ["one.pt", "list.pt", "dumped.p"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        for length in (0..whole.len()).step_by(13) {
            assert!(parse(&whole[..length]).is_err(), "{name} cut to {length} bytes");
        }
        for _ in 0..3000 {
            let mut damaged = whole.clone();
            for _ in 0..=random.next_u32() % 4 {
                let place = random.next_u32() as usize % damaged.len();
                damaged[place] = random.next_u32() as u8;
            }
            if let Ok(found) = parse(&damaged) {
                assert!(found.iter().map(|(_, values)| values.len()).sum::<usize>() <= damaged.len());
            }
        }
    }
}
