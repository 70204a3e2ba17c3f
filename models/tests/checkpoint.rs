//! Weights that are damaged, hostile or of another network end in an error that names what is wrong.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;
use nocturne_models::checkpoint::{self, Checkpoint, CheckpointError};
use nocturne_models::parameters;
use tempfile::TempDir;

#[derive(Module, Debug)]
struct Small {
    first: Linear,
    second: Linear,
}

fn small() -> Small {
    let linear = |input, output| LinearConfig::new(input, output).init(&Device::flex());
    Small { first: linear(2, 3), second: linear(3, 1) }
}

/// A safetensors file of this header and so many bytes of values.
fn safetensors(folder: &Path, header: &str, data: &[u8]) -> PathBuf {
    let path = folder.join("model.safetensors");
    fs::write(&path, [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()).unwrap();
    path
}

fn error(path: &Path) -> String {
    Checkpoint::open(path).unwrap_err().to_string()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn saved_weights_load_again() {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    let module = small();
    checkpoint::save(&module, &path).unwrap();
    let loaded = checkpoint::load(small(), &Checkpoint::open(folder.path()).unwrap()).unwrap();
    let values = |module: &Small| {
        let mut all = Vec::new();
        parameters::visit(module, |name, shape, values| {
            all.push((name.to_owned(), shape.to_vec(), values.into_data()));
        });
        all
    };
    assert_eq!(values(&module), values(&loaded));
    assert_eq!(Checkpoint::open(&path).unwrap().shape("first.weight"), Some(&[3, 2][..]));
    let header = fs::read(&path).unwrap();
    assert!(String::from_utf8_lossy(&header[8..80]).contains(r#""__metadata__":{"format":"pt"}"#));
}

#[test]
fn every_difference_is_named() {
    let folder = folder();
    let path = safetensors(
        folder.path(),
        r#"{"first.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
            "first.bias":{"dtype":"F32","shape":[3,1],"data_offsets":[24,36]},
            "third":{"dtype":"F32","shape":[1],"data_offsets":[36,40]}}"#,
        &[0; 40],
    );
    let failed = checkpoint::load(small(), &Checkpoint::open(&path).unwrap()).unwrap_err();
    let CheckpointError::Mismatch { file, mismatch } = &failed else { panic!("{failed}") };
    assert_eq!(file, &path);
    assert_eq!(mismatch.missing, ["second.weight", "second.bias"]);
    assert_eq!(mismatch.unexpected, ["third"]);
    assert_eq!(mismatch.misshapen, [("first.weight".to_owned(), vec![2, 3], vec![3, 2])]);
    let text = failed.to_string();
    assert!(text.contains("2 missing: second.weight, second.bias; 1 unexpected: third; 1 misshapen"), "{text}");
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let module =
            parameters::map(small(), |name, values| if name == "second.bias" { values * 0.0 + bad } else { values });
        checkpoint::save(&module, &path).unwrap();
        let failed = checkpoint::load(small(), &Checkpoint::open(&path).unwrap()).unwrap_err().to_string();
        assert!(failed.contains("tensor second.bias") && failed.contains("finite"), "{failed}");
    }
}

#[test]
fn integers_are_no_weights() {
    let folder = folder();
    let header = r#"{"steps":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#;
    let checkpoint = Checkpoint::open(&safetensors(folder.path(), header, &[0; 8])).unwrap();
    let failed = checkpoint.read("steps").unwrap_err().to_string();
    assert!(failed.contains("tensor steps: found I64"), "{failed}");
    assert!(checkpoint.read("absent").unwrap_err().to_string().contains("tensor absent: found no such tensor"));
}

#[test]
fn lying_safetensors_are_refused() {
    let folder = folder();
    let entry =
        |shape: &str, offsets: &str| format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#);
    let cases: &[(String, usize, &str)] = &[
        (entry("[4]", "[0,16]"), 8, "data length"),
        (entry("[4]", "[0,16]"), 24, "data length"),
        (entry("[2]", "[0,16]"), 16, "header"),
        (entry("[4]", "[4,20]"), 20, "header"),
        (entry("[4]", "[16,0]"), 16, "header"),
        (entry("[9223372036854775807,9]", "[0,16]"), 16, "header"),
        (entry("[1099511627776]", "[0,4398046511104]"), 16, "data length"),
        (entry("[-1]", "[0,16]"), 16, "header"),
        (
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#
                .to_owned(),
            12,
            "header",
        ),
        ("{".to_owned(), 0, "header"),
        ("[".repeat(100_000), 0, "header"),
        ("\u{0}".to_owned(), 0, "header"),
    ];
    for (header, bytes, field) in cases {
        let message = error(&safetensors(folder.path(), header, &vec![0; *bytes]));
        let start: String = header.chars().take(80).collect();
        assert!(
            message.contains("model.safetensors") && message.contains(&format!(": {field}: ")),
            "{start}: {message}"
        );
    }
}

#[test]
fn lying_lengths_allocate_nothing() {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    for (bytes, field) in [
        (&[][..], "file size"),
        (&[1, 2, 3], "file size"),
        (&u64::MAX.to_le_bytes(), "header length"),
        (&(1u64 << 40).to_le_bytes(), "header length"),
        (&9u64.to_le_bytes(), "header length"),
    ] {
        fs::write(&path, bytes).unwrap();
        let message = error(&path);
        assert!(message.contains(field), "{message}");
    }
    fs::remove_file(&path).unwrap();
    assert!(error(&path).contains("model.safetensors"));
    assert!(error(folder.path()).contains("found no weights"));
}

#[test]
fn shards_are_joined_and_stay_in_their_folder() {
    let folder = folder();
    let write = |name: &str, tensor: &str, value: f32| {
        let header = format!(r#"{{"{tensor}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#);
        fs::rename(safetensors(folder.path(), &header, &value.to_le_bytes()), folder.path().join(name)).unwrap();
    };
    write("model-00001-of-00002.safetensors", "a", 1.0);
    write("model-00002-of-00002.safetensors", "b", 2.0);
    let index = folder.path().join("model.safetensors.index.json");
    let map =
        |b: &str| format!(r#"{{"metadata":{{}},"weight_map":{{"a":"model-00001-of-00002.safetensors","b":"{b}"}}}}"#);
    fs::write(&index, map("model-00002-of-00002.safetensors")).unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((checkpoint.read("a").unwrap(), checkpoint.read("b").unwrap()), (vec![1.0], vec![2.0]));

    fs::write(&index, map("model-00001-of-00002.safetensors")).unwrap();
    assert!(error(&index).contains("tensor b: found no such tensor"));
    for elsewhere in ["../model.safetensors", "/etc/passwd", "sub/model.safetensors"] {
        fs::write(&index, map(elsewhere)).unwrap();
        assert!(error(&index).contains("file names without folders"), "{elsewhere}");
    }
    fs::write(&index, "{}").unwrap();
    assert!(error(&index).contains("weight_map"));
}

#[test]
fn pickles_are_parsed_and_never_executed() {
    let folder = folder();
    let path = folder.path().join("model.bin");
    let witness = folder.path().join("executed");
    // The classic: `os.system("touch …")` on load.
    let hostile = format!("cos\nsystem\n(S'touch {}'\ntR.", witness.display());
    fs::write(&path, hostile).unwrap();
    assert!(error(&path).contains("model.bin: not a readable checkpoint: pickle"));
    assert!(!witness.exists());
    let unet = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/unet/b/diffusion_pytorch_model.bin");
    let good = fs::read(unet).unwrap();
    for broken in [&good[..0], &good[..10], &good[..good.len() / 2], &good[..good.len() - 1], &good[1..], b"GIF89a"] {
        fs::write(&path, broken).unwrap();
        assert!(error(&path).contains("model.bin"));
    }
}

/// Whatever byte is damaged, opening and reading everything ends in values or in an error.
#[test]
fn damaged_pickles_do_not_panic() {
    let folder = folder();
    let path = folder.path().join("model.bin");
    let unet = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/unet/b/diffusion_pytorch_model.bin");
    let good = fs::read(unet).unwrap();
    let mut random = nocturne_models::random::Random::new(5, "damage", 0);
    let mut refused = 0;
    for _ in 0..200 {
        let mut bytes = good.clone();
        for _ in 0..4 {
            let place = random.below(bytes.len() as u64) as usize;
            bytes[place] ^= 1 << random.below(8);
        }
        fs::write(&path, bytes).unwrap();
        let read = Checkpoint::open(&path).and_then(|file| file.names().try_for_each(|name| file.read(name).map(drop)));
        refused += usize::from(read.is_err());
    }
    // Archives carry checksums: nearly all damage is seen, except in the padding.
    assert!(refused > 150, "{refused} of 200");
}

#[test]
fn renaming_leaves_out_and_never_merges() {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    checkpoint::save(&small(), &path).unwrap();
    let open = || Checkpoint::open(&path).unwrap();
    let first = open().rename(|name| name.strip_prefix("first.").map(str::to_owned)).unwrap();
    assert_eq!(first.names().collect::<Vec<_>>(), ["bias", "weight"]);
    let merged = open().rename(|_| Some("same".to_owned())).unwrap_err().to_string();
    assert!(merged.contains("tensor same: found two"), "{merged}");
}
