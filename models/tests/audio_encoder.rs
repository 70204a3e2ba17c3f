//! The audio encoder against the published layers in PyTorch, on fixtures of `scripts/reference/audio_encoder.py`.
#![allow(clippy::unwrap_used)]

mod taps;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use nocturne_models::audio_encoder::{AudioEncoder, AudioEncoderConfig};
use nocturne_models::network::{self, NetworkConfig};
use taps::{Taps, host, relative_error};

/// Float32 in another order of summation.
const TOLERANCE: f64 = 1e-4;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audio_encoder")
}

fn open() -> (AudioEncoderConfig, AudioEncoder) {
    network::open(&folder(), &Device::flex()).unwrap()
}

#[test]
fn every_stage_matches() {
    let (_, encoder) = open();
    let taps = Taps::open(&folder().join("taps.safetensors"), TOLERANCE);
    let pictures = taps.tensor::<4>("pictures");
    let mut hidden = pictures.clone();
    for (index, block) in encoder.conv_blocks.iter().enumerate() {
        hidden = block.forward(hidden);
        taps.compare(&format!("conv_blocks.{index}"), &hidden);
    }
    taps.compare("dense_block", &encoder.dense_block.forward(hidden));
    taps.compare("output", &encoder.forward(pictures));
}

#[test]
fn a_slice_is_encoded_the_same_alone_and_in_a_batch() {
    let (_, encoder) = open();
    let taps = Taps::open(&folder().join("taps.safetensors"), TOLERANCE);
    let (pictures, together) = (taps.tensor::<4>("pictures"), taps.tensor::<2>("output"));
    for slice in 0..3 {
        let alone = host(&encoder.forward(pictures.clone().narrow(0, slice, 1)));
        let expected = host(&together.clone().narrow(0, slice, 1));
        assert!(relative_error(&alone, &expected) < TOLERANCE, "slice {slice}");
    }
}

/// The published file has 170 MB.
#[test]
fn the_published_configuration_gives_the_published_network() {
    let published: AudioEncoderConfig =
        serde_json::from_str(r#"{"_class_name": "AudioEncoder", "_diffusers_version": "0.16.1"}"#).unwrap();
    assert_eq!(published, AudioEncoderConfig::default());
    assert_eq!(published.parameter_count().unwrap(), 42_587_213);
}

#[test]
fn a_saved_encoder_opens_again_and_gives_the_same() {
    let (config, encoder) = open();
    let saved = tempfile::tempdir().unwrap();
    network::save(&config, &encoder, saved.path()).unwrap();
    let (config_again, again) = network::open::<AudioEncoderConfig>(saved.path(), &Device::flex()).unwrap();
    assert_eq!(config, config_again);
    let pictures = Taps::open(&folder().join("taps.safetensors"), TOLERANCE).tensor::<4>("pictures");
    assert_eq!(host(&encoder.forward(pictures.clone())), host(&again.forward(pictures)));
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    let good = AudioEncoderConfig::default;
    let cases = [
        (AudioEncoderConfig { class_name: "UNet2DModel".to_owned(), ..good() }, "_class_name"),
        (AudioEncoderConfig { conv_channels: Vec::new(), ..good() }, "conv_channels"),
        (AudioEncoderConfig { conv_channels: vec![32, 0], ..good() }, "conv_channels"),
        (AudioEncoderConfig { x_res: 7, ..good() }, "x_res"),
        (AudioEncoderConfig { y_res: 0, ..good() }, "y_res"),
        (AudioEncoderConfig { dense_features: 1 << 40, ..good() }, "dense_features"),
        (AudioEncoderConfig { embedding_features: 0, ..good() }, "embedding_features"),
    ];
    for (config, field) in cases {
        assert_eq!(config.validate().unwrap_err().field, field);
    }
}
