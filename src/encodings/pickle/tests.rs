#![allow(clippy::unwrap_used)]
use nocturne_models::random::Random;

use super::*;

const PICKLES: [&str; 9] = [
    "ordered.p",
    "torch-2.p",
    "torch-3.p",
    "torch-4.p",
    "torch-5.p",
    "numpy-2.p",
    "numpy-3.p",
    "numpy-4.p",
    "numpy-5.p",
];

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/encodings").join(name)).unwrap()
}

fn parsed(bytes: &[u8]) -> Result<BTreeMap<String, Encoding>, EncodingsError> {
    parse(Path::new("encodings.p"), bytes)
}

/// Whatever the bytes, an answer: neither a panic, nor more numbers than bytes.
#[test]
fn damaged_pickles_are_answered() {
    let mut random = Random::new(1, "damage", 0);
    let mut refused = 0;
    for name in PICKLES {
        let whole = fixture(name);
        for length in (0..whole.len()).step_by(7) {
            assert!(parsed(&whole[..length]).is_err(), "{name} cut to {length} bytes");
        }
        for _ in 0..3000 {
            let mut damaged = whole.clone();
            for _ in 0..=random.next_u32() % 4 {
                let place = random.next_u32() as usize % damaged.len();
                damaged[place] = random.next_u32() as u8;
            }
            match parsed(&damaged) {
                Ok(all) => assert!(all.values().map(|encoding| encoding.values.len()).sum::<usize>() <= damaged.len()),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 9000, "{refused}");
}

#[test]
fn random_instructions_are_answered() {
    const INSTRUCTIONS: &[u8] = b"\x80\x95(01N\x88\x89JKM\x8aG\x8cX\x8dCB\x8e\x96)t\x85\x86\x87]ae}suc\x93RbQqr\x94hj.";
    let mut random = Random::new(2, "instructions", 0);
    for _ in 0..50_000 {
        let length = random.next_u32() % 40;
        let bytes: Vec<u8> = (0..length)
            .map(|_| match random.next_u32() % 4 {
                0 => random.next_u32() as u8 % 4,
                _ => INSTRUCTIONS[random.next_u32() as usize % INSTRUCTIONS.len()],
            })
            .collect();
        assert!(parsed(&bytes).is_err() || bytes.contains(&b'}'));
    }
}

/// A float32 array of `numpy-4.p`'s form under the key `a`, of this shape and data.
fn array(shape: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes =
        b"\x80\x04}(\x8c\x01acnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n)C\x01b\x87R(K\x01(".to_vec();
    for size in shape {
        bytes.extend([&b"J"[..], &size.to_le_bytes()].concat());
    }
    bytes.extend(
        b"tcnumpy\ndtype\n\x8c\x02f4\x89\x88\x87R(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89B",
    );
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes.extend(b"tbu.");
    bytes
}

#[test]
fn shapes_are_checked_before_anything_is_allocated() {
    let data: Vec<u8> = [1.0_f32, 2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    let one = parsed(&array(&[1, 2], &data)).unwrap();
    assert_eq!((one["a"].tokens, one["a"].dim, &one["a"].values[..]), (1, 2, &[1.0, 2.0][..]));
    for shape in [&[1, 3][..], &[2_000_000_000, 2_000_000_000], &[0, 2], &[2, 0], &[], &[1, 1, 1, 2], &[1; 9]] {
        let message = parsed(&array(shape, &data)).unwrap_err().to_string();
        assert!(message.contains("encodings.p") && message.contains("\"a\""), "{shape:?}: {message}");
    }
    // A negative length.
    assert!(parsed(&array(&[u32::MAX, 2], &data)).is_err());
}

/// A tensor of four bytes that says that it is a thousand million times as large.
#[test]
fn a_view_is_no_larger_than_its_file() {
    let whole = fixture("torch-4.p");
    // The sizes and the strides of the first tensor, (1, 6) and (6, 1), as the file has them.
    let sizes = b"K\x01K\x06\x86\x94K\x06K\x01\x86";
    let at = whole.windows(sizes.len()).position(|window| window == sizes).unwrap();
    let replaced = |with: &[u8]| [&whole[..at], with, &whole[at + sizes.len()..]].concat();
    let huge = [&b"J"[..], &1_000_000_000_u32.to_le_bytes(), b"K\x06\x86\x94K\x00K\x01\x86"].concat();
    for bad in [
        &huge[..],
        b"K\x02K\x06\x86\x94K\x06K\x01\x86",
        b"K\x01K\x06\x86\x94K\x06\x85",
        b"K\x01N\x86\x94K\x06K\x01\x86",
    ] {
        // Frames tell lengths, but nothing depends on them.
        let message = parsed(&replaced(bad)).unwrap_err().to_string();
        assert!(message.contains("soft rain"), "{message}");
    }
    assert!(parsed(&replaced(sizes)).is_ok());
}

#[test]
fn one_text_does_not_serve_many_tensors() {
    // The bytes of one array, as text, that every key's array is made of.
    let text = "\0".repeat(4000);
    let mut bytes = b"\x80\x02}(X\xa0\x0f\0\0".to_vec();
    bytes.extend(text.as_bytes());
    bytes.extend(b"q\x00X\x06\0\0\0latin1q\x01\x86q\x020");
    for key in 0..64_u8 {
        bytes.extend([b'X', 1, 0, 0, 0, b'0' + key]);
        bytes.extend(b"cnumpy.core.multiarray\n_reconstruct\n)R(K\x01(M\xe8\x03tcnumpy\ndtype\nX\x02\0\0\0f4\x85R(K\x03X\x01\0\0\0<tb\x89c_codecs\nencode\nh\x02Rtb");
    }
    bytes.extend(b"u.");
    let message = parsed(&bytes).unwrap_err().to_string();
    assert!(message.contains("more numbers than the file has bytes"), "{message}");
}

#[test]
fn what_is_no_dictionary_of_tensors_is_named() {
    let cases: [(&[u8], &str); 8] = [
        (b"\x80\x04]q\x00.", "found a list, expected a dictionary"),
        (b"\x80\x04}K\x01K\x02s.", "the key a number"),
        (b"\x80\x04}\x8c\x01aK\x02s.", "found a number, expected a tensor"),
        (b"\x80\x04}\x8c\x01acos\nsystem\n\x8c\x02ls\x85Rs.", "what os.system would make"),
        (b"\x80\x04}\x8c\x01ac__main__\nsecret\ns.", "__main__.secret"),
        (b"\x80\x04Vtext\n.", "the instruction 0x56"),
        (b"\x80\x04}\x8d\xff\xff\xff\xff\xff\xff\xff\x7fa.", "the end of the file"),
        (b"\x80\x04}h\x07.", "memo 7"),
    ];
    for (bytes, words) in cases {
        let message = parsed(bytes).unwrap_err().to_string();
        assert!(message.contains(words) && !message.contains('\n'), "{message}");
    }
}
