//! The text encoder and its tokenizer against transformers, on fixtures of `scripts/reference/t5.py`.
#![allow(clippy::unwrap_used)]

mod taps;

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor};
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::network::{self, NetworkConfig};
use nocturne_models::parameters;
use nocturne_models::t5::{T5Config, T5Encoder, T5Tokenizer, TokenizerError, relative_position_bucket};
use taps::{Taps, host, relative_error};

/// Float32 in another order of summation.
const TOLERANCE: f64 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/t5").join(name)
}

fn open(name: &str) -> (T5Config, T5Encoder) {
    network::open::<T5Config>(&fixture(name), &Device::flex()).unwrap()
}

/// A copy of a fixture's files that a test may change.
fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

fn every_stage_matches(name: &str) {
    let (config, encoder) = open(name);
    let taps = Taps::open(&fixture(name).join("taps.safetensors"), TOLERANCE);
    let (ids, mask) = (taps.tensor::<2>("ids").int(), taps.tensor::<2>("mask"));
    let [_, tokens] = ids.dims();

    let mut hidden = encoder.shared.forward(ids.clone());
    taps.compare("embedding", &hidden);
    let first_query = encoder.bias(tokens, None).narrow(2, 0, 1).reshape([1, config.num_heads, tokens]);
    taps.compare("bias", &first_query);
    let bias = encoder.bias(tokens, Some(mask.clone()));
    for (index, block) in encoder.encoder.block.iter().enumerate() {
        hidden = block.forward(hidden, bias.clone());
        taps.compare(&format!("block.{index}"), &hidden);
    }
    taps.compare("output", &encoder.forward(ids, Some(mask)));
}

#[test]
fn t5_matches_and_its_decoder_is_left_out() {
    every_stage_matches("t5");
}

#[test]
fn flan_t5_matches() {
    every_stage_matches("flan");
}

#[test]
fn every_distance_falls_into_its_published_bucket() {
    let table = Checkpoint::open(&fixture("buckets.safetensors")).unwrap();
    assert_eq!(table.names().count(), 4);
    for name in table.names() {
        let (buckets, most) = name.split_once(',').unwrap();
        let (buckets, most) = (buckets.parse().unwrap(), most.parse().unwrap());
        for (distance, expected) in (-1200..=1200).zip(table.read(name).unwrap()) {
            assert_eq!(relative_position_bucket(distance, buckets, most) as f32, expected, "{name}: {distance}");
        }
    }
}

/// What filling up a batch must not change.
#[test]
fn a_caption_is_encoded_the_same_alone_and_in_a_batch() {
    let (_, encoder) = open("t5");
    let taps = Taps::open(&fixture("t5/taps.safetensors"), TOLERANCE);
    let (ids, output) = (taps.tensor::<2>("ids").int(), taps.tensor::<3>("output"));
    let lengths: Vec<usize> =
        host(&taps.tensor::<2>("mask").sum_dim(1)).into_iter().map(|length| length as usize).collect();
    assert_eq!(lengths, [150, 1, 20]);
    for (item, length) in lengths.into_iter().enumerate() {
        let alone = encoder.forward(ids.clone().slice([item..item + 1, 0..length]), None);
        let [_, _, width] = alone.dims();
        let expected = output.clone().slice([item..item + 1, 0..length, 0..width]);
        let error = relative_error(&host(&alone), &host(&expected));
        assert!(error < TOLERANCE, "{length} tokens: {error:e}");
    }
}

/// As transformers counts them: t5-base, t5-small, and flan-t5-base (google/flan-t5-base has the same encoder as T5 1.1).
#[test]
fn published_encoders_have_their_published_sizes() {
    let base = T5Config { d_model: 768, d_ff: 3072, num_layers: 12, num_heads: 12, ..T5Config::default() };
    assert_eq!(T5Config::default().parameter_count().unwrap(), 35_330_816);
    assert_eq!(base.parameter_count().unwrap(), 109_628_544);
    let gated = T5Config { d_ff: 2048, feed_forward_proj: "gated-gelu".to_owned(), ..base };
    assert_eq!(gated.parameter_count().unwrap(), 109_628_544);
}

#[test]
fn the_embedding_is_found_under_either_name() {
    let (config, encoder) = open("flan");
    let folder = tempfile::tempdir().unwrap();
    network::save(&config, &encoder, folder.path()).unwrap();
    let (saved, again) = network::open::<T5Config>(folder.path(), &Device::flex()).unwrap();
    assert_eq!(saved, config);
    let values = |encoder: &T5Encoder| {
        let mut all = Vec::new();
        parameters::visit(encoder, |name, shape, values| all.push((name.to_owned(), shape.to_vec(), host(&values))));
        all
    };
    assert_eq!(values(&encoder), values(&again));

    // Names of one length: the header stays as long as it says.
    let file = folder.path().join("model.safetensors");
    let bytes = fs::read(&file).unwrap();
    let old = br#""shared.weight":"#;
    let at = bytes.windows(old.len()).position(|window| window == old).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header = bytes[8..8 + length].to_vec();
    header.splice(at - 8..at - 8 + old.len(), br#""encoder.embed_tokens.weight":"#.iter().copied());
    let renamed = [&(header.len() as u64).to_le_bytes()[..], &header, &bytes[8 + length..]].concat();
    fs::write(&file, renamed).unwrap();
    let (_, renamed) = network::open::<T5Config>(folder.path(), &Device::flex()).unwrap();
    assert_eq!(values(&encoder), values(&renamed));
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    let good = T5Config::default;
    let cases = [
        (T5Config { model_type: "umt5".to_owned(), ..good() }, "model_type"),
        (T5Config { feed_forward_proj: "gated-silu".to_owned(), ..good() }, "feed_forward_proj"),
        (T5Config { d_model: 0, ..good() }, "d_model"),
        (T5Config { num_layers: 0, ..good() }, "num_layers"),
        (T5Config { num_heads: 1 << 40, ..good() }, "num_heads"),
        (T5Config { relative_attention_num_buckets: 6, ..good() }, "relative_attention_num_buckets"),
        (T5Config { relative_attention_max_distance: 8, ..good() }, "relative_attention_max_distance"),
        (T5Config { layer_norm_epsilon: 0.0, ..good() }, "layer_norm_epsilon"),
        (T5Config { layer_norm_epsilon: f64::NAN, ..good() }, "layer_norm_epsilon"),
    ];
    for (config, field) in cases {
        assert_eq!(config.validate().unwrap_err().field, field);
    }
    let folder = copy("flan");
    let wider = fs::read_to_string(folder.path().join("config.json")).unwrap().replace("\"d_ff\": 32", "\"d_ff\": 40");
    fs::write(folder.path().join("config.json"), wider).unwrap();
    let message = network::open::<T5Config>(folder.path(), &Device::flex()).err().unwrap().to_string();
    assert!(message.contains("misshapen") && message.contains("DenseReluDense"), "{message}");
}

fn cases() -> Vec<(String, Vec<u32>, usize)> {
    let cases: Vec<serde_json::Value> =
        serde_json::from_slice(&fs::read(fixture("flan/tokens.json")).unwrap()).unwrap();
    let ids = |case: &serde_json::Value| {
        case["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
    };
    cases
        .iter()
        .map(|case| (case["text"].as_str().unwrap().to_owned(), ids(case), case["whole"].as_u64().unwrap() as usize))
        .collect()
}

#[test]
fn tokens_are_those_of_transformers() {
    let tokenizer = T5Tokenizer::open(&fixture("flan"), None).unwrap();
    assert_eq!(tokenizer.max_length(), 48);
    let mut truncated = 0;
    for (text, ids, whole) in cases() {
        let tokens = tokenizer.encode(&text).unwrap();
        assert_eq!(tokens.ids, ids, "{text:?}");
        assert_eq!(tokens.truncated, whole > ids.len(), "{text:?}");
        truncated += usize::from(tokens.truncated);
    }
    assert!(truncated > 0);
    // What is cut is the end of the text, not </s>.
    let short = T5Tokenizer::open(&fixture("flan"), Some(5)).unwrap();
    let (text, ids, _) = &cases()[0];
    assert_eq!(short.encode(text).unwrap().ids, [&ids[..4], &[1]].concat());
    assert_eq!(T5Tokenizer::open(&fixture("flan"), Some(1)).unwrap().encode(text).unwrap().ids, [1]);
}

#[test]
fn a_batch_is_filled_up_to_its_longest() {
    let tokenizer = T5Tokenizer::open(&fixture("flan"), None).unwrap();
    let device = Device::flex();
    let texts = ["", "A soft piano"].map(|text| tokenizer.encode(text).unwrap());
    let batch = tokenizer.batch(&[&texts[0], &texts[1]]);
    let longest = texts[1].ids.len();
    assert_eq!(batch.lengths(), [1, longest]);
    let ids: Tensor<2, Int> = batch.ids(&device);
    let padded: Vec<i64> = [1].into_iter().chain(std::iter::repeat_n(0, longest - 1)).collect();
    assert_eq!(ids.narrow(0, 0, 1).into_data().iter::<i64>().collect::<Vec<_>>(), padded);
    let mask = host(&batch.mask(&device).unwrap());
    assert_eq!(mask.iter().map(|value| *value as usize).sum::<usize>(), 1 + longest);
    assert_eq!(&mask[..2], [1.0, 0.0]);
    assert!(tokenizer.batch(&[&texts[1], &texts[1]]).mask(&device).is_none());
    let (_, encoder) = open("flan");
    assert_eq!(encoder.encode(&batch).dims(), [2, longest, 24]);
}

#[test]
fn tokenizers_that_cannot_be_used_are_named() {
    let open = |folder: &Path| T5Tokenizer::open(folder, None).err().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    assert!(open(folder.path()).to_string().contains("no tokenizer"));
    fs::write(path("spiece.model"), b"\n\x0e").unwrap();
    let message = open(folder.path()).to_string();
    assert!(message.contains("spiece.model") && message.contains("save_pretrained"), "{message}");
    assert!(!message.contains('\n'));

    let good = fs::read_to_string(fixture("flan/tokenizer.json")).unwrap();
    for bad in [String::new(), "{}".to_owned(), good[..good.len() / 2].to_owned(), good.replace("</s>", "<end>")] {
        fs::write(path("tokenizer.json"), &bad).unwrap();
        let error = open(folder.path());
        assert!(matches!(&error, TokenizerError::Format { file, .. } if file.ends_with("tokenizer.json")), "{error}");
    }
    fs::write(path("tokenizer.json"), &good).unwrap();
    assert_eq!(T5Tokenizer::open(folder.path(), None).unwrap().max_length(), 512);
    for (settings, length) in [(r#"{"model_max_length": 1e30}"#, 512), (r#"{"model_max_length": 77}"#, 77)] {
        fs::write(path("tokenizer_config.json"), settings).unwrap();
        assert_eq!(T5Tokenizer::open(folder.path(), None).unwrap().max_length(), length);
    }
    fs::write(path("tokenizer_config.json"), "[").unwrap();
    assert!(open(folder.path()).to_string().contains("tokenizer_config.json"));
    assert!(matches!(T5Tokenizer::open(&fixture("flan"), Some(0)), Err(TokenizerError::Length { found: 0 })));
}

/// An empty text is `</s>` alone. A row of a batch in which nothing is attended to is finite, whatever it means, and
/// changes no other row.
#[test]
fn nothing_to_attend_to_is_no_nan() {
    let (_, encoder) = open("flan");
    let device = Device::flex();
    let tokenizer = T5Tokenizer::open(&fixture("flan"), None).unwrap();
    let empty = tokenizer.encode("").unwrap();
    assert_eq!((empty.ids.as_slice(), empty.truncated), (&[1][..], false));
    assert!(host(&encoder.encode(&tokenizer.batch(&[&empty]))).iter().all(|value| value.is_finite()));

    let ids = Tensor::<2, Int>::from_ints([[5, 6, 1], [5, 6, 1]], &device);
    let mask = Tensor::<2>::from_floats([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]], &device);
    let both = host(&encoder.forward(ids.clone(), Some(mask)));
    assert!(both.iter().all(|value| value.is_finite()));
    let (_, seen) = both.split_at(both.len() / 2);
    let error = relative_error(seen, &host(&encoder.forward(ids.narrow(0, 1, 1), None)));
    assert!(error < TOLERANCE, "{error:e}");
}
