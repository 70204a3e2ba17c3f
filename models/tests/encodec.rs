//! `EnCodec` against transformers' `EncodecModel` in all published layouts, on fixtures of `scripts/reference/encodec.py`.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/taps.rs"]
mod taps;

use std::fs;

use burn::tensor::{Device, Int, Tensor, TensorData};
use common::assert_close;
use nocturne_models::encodec::{self, Encodec, EncodecConfig, Layer, PadMode, deinterleave, interleave};
use nocturne_models::network::{self, NetworkConfig};
use nocturne_models::parameters;
use nocturne_models::random::Random;
use taps::{Taps, fixture, host};

const NETWORKS: [&str; 3] = ["khz_24", "khz_48", "khz_32"];

fn open(path: &str) -> (EncodecConfig, Encodec) {
    encodec::open(&fixture(&format!("encodec/{path}")), &Device::flex()).unwrap()
}

fn taps(name: &str) -> Taps {
    Taps::open(&format!("encodec/{name}.safetensors"), &Device::flex())
}

/// As the script makes it.
fn waveform(batch: usize, channels: usize, length: usize) -> Tensor<3> {
    let value = |index: usize| {
        let (item, channel, sample) = (index / (channels * length), index / length % channels, index % length);
        let [i, c, s] = [item, channel, sample].map(|index| index as f64);
        (0.4 * libm::sin(0.11 * s * (1.0 + i) + c) + 0.3 * libm::cos(0.013 * s * (2.0 + c) + i)) as f32
    };
    let values: Vec<f32> = (0..batch * channels * length).map(value).collect();
    Tensor::from_data(TensorData::new(values, [batch, channels, length]), &Device::flex())
}

fn codes(count: [usize; 3], size: usize) -> Tensor<3, Int> {
    let mut random = Random::new(5, "codes", 0);
    let values: Vec<i32> =
        random.normal(count.iter().product()).iter().map(|x| (x.abs() * 1e4) as i32 % size as i32).collect();
    Tensor::from_data(TensorData::new(values, count), &Device::flex())
}

fn numbers(codes: &Tensor<3, Int>) -> Vec<i64> {
    codes.to_data().convert::<i64>().try_to_vec().unwrap()
}

fn stages(taps: &Taps, name: &str, layers: &[Layer], input: Tensor<3>) {
    let (mut hidden, mut elu) = (input, false);
    for (index, layer) in layers.iter().enumerate() {
        let before = std::mem::take(&mut elu);
        hidden = match layer {
            Layer::Conv(conv) => conv.forward(hidden, before),
            Layer::ConvTranspose(conv) => conv.forward(hidden, before),
            Layer::Block(block) => block.forward(hidden),
            Layer::Lstm(lstm) => lstm.forward(hidden, &mut None),
            Layer::Elu(_) => {
                elu = true;
                continue;
            }
        };
        taps.compare(&format!("{name}.{index}"), &hidden.clone().narrow(0, 0, 1));
    }
    taps.compare(name, &hidden);
}

#[test]
fn every_stage_matches() {
    for name in NETWORKS {
        let ((config, network), taps) = (open(name), taps(name));
        let samples = waveform(2, config.audio_channels, 173);
        stages(&taps, "encoder", &network.encoder.layers, samples.clone());
        let encodings = network.encoder.forward(samples.clone());
        taps.compare("encoder", &encodings);
        let codes = network.quantizer.encode(encodings, config.num_quantizers());
        let expected: Vec<i64> = taps.file.read("codes").unwrap().iter().map(|code| *code as i64).collect();
        assert_eq!(numbers(&codes), expected, "{name}");
        let quantized = network.quantizer.decode(codes.clone());
        taps.compare("quantized", &quantized);
        stages(&taps, "decoder", &network.decoder.layers, quantized);
        taps.compare("decoder", &network.decode_codes(codes));
        taps.compare("short", &network.encoder.forward(samples.narrow(0, 0, 1).narrow(2, 0, 3)));
    }
}

#[test]
fn waveforms_go_to_codes_and_back_at_every_bandwidth() {
    for name in NETWORKS {
        let ((config, network), taps) = (open(name), taps(name));
        let samples = waveform(1, config.audio_channels, 455);
        for (index, bandwidth) in config.target_bandwidths.iter().enumerate() {
            let segments = network.encode(samples.clone(), config.quantizers_of(*bandwidth).unwrap());
            let expected = taps.tensor::<3>(&format!("whole.codes.{index}"));
            assert_eq!(segments.len(), expected.dims()[0], "{name}");
            for (place, segment) in segments.iter().enumerate() {
                let [_, books, frames] = segment.codes.dims();
                // Published codes of a short segment are filled up.
                let expected = host(&expected.clone().narrow(0, place, 1).narrow(2, 0, frames));
                let expected: Vec<i64> = expected.iter().map(|code| *code as i64).collect();
                assert_eq!(numbers(&segment.codes), expected, "{name}, segment {place}, {books} codebooks");
            }
            let scales: Vec<f32> =
                segments.iter().filter_map(|segment| segment.scale.as_ref()).flat_map(host).collect();
            assert_eq!(scales.is_empty(), !config.normalize);
            if config.normalize {
                assert!(taps.error(&format!("whole.scales.{index}"), &scales) < taps::TOLERANCE);
            }
            taps.compare(&format!("whole.{index}"), &network.decode(&segments));
        }
        assert_eq!(config.quantizers_of(7.0).unwrap_err().field, "bandwidth");
    }
}

#[test]
fn all_layouts_hold_the_same_networks() {
    let values = |network: &Encodec| {
        let mut all = Vec::new();
        parameters::visit(network, |name, shape, values| all.push((name.to_owned(), shape.to_vec(), host(&values))));
        all
    };
    for (name, other) in
        [("khz_24", "encodec_24khz.th"), ("khz_48", "encodec_48khz.th"), ("khz_32", "compression_state_dict.bin")]
    {
        let ((described, first), (found, second)) = (open(name), open(other));
        assert_eq!(values(&first), values(&second), "{name}");
        match name {
            // It has a description of its own.
            "khz_32" => assert_eq!(described, EncodecConfig { codebook_dim: Some(8), ..found }),
            _ => {
                assert_eq!(described.upsampling_ratios, found.upsampling_ratios);
                assert_eq!(found.sampling_rate, if name == "khz_24" { 24_000 } else { 48_000 });
                assert_eq!((found.normalize, found.use_causal_conv), (described.normalize, described.use_causal_conv));
                assert_eq!(found.num_quantizers(), 4);
            }
        }
    }
    // A folder that holds audiocraft's file, and beside it the description of another network.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), "{\"model_type\": \"musicgen\"}").unwrap();
    let name = "compression_state_dict.bin";
    fs::copy(fixture(&format!("encodec/{name}")), folder.path().join(name)).unwrap();
    assert_eq!(encodec::open(folder.path(), &Device::flex()).unwrap().0, open(name).0);
}

#[test]
fn saved_networks_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let (config, network) = open("khz_24");
    network::save(&config, &network, folder.path()).unwrap();
    let (read, again) = encodec::open(folder.path(), &Device::flex()).unwrap();
    assert_eq!(read, config);
    let samples = waveform(1, 1, 100);
    assert_eq!(host(&network.encoder.forward(samples.clone())), host(&again.encoder.forward(samples)));
}

/// A network with all that matters for cutting, of random values.
fn random(change: impl Fn(&mut EncodecConfig)) -> (EncodecConfig, Encodec) {
    let mut config = EncodecConfig {
        num_filters: 4,
        hidden_size: 8,
        upsampling_ratios: vec![5, 4],
        codebook_size: 16,
        target_bandwidths: vec![19.2],
        num_residual_layers: 2,
        ..EncodecConfig::default()
    };
    change(&mut config);
    let network = config.init(&Device::flex(), &mut Random::new(1, "encodec", 0)).unwrap();
    (config, network)
}

#[test]
fn decoding_in_pieces_gives_what_one_pass_gives() {
    for causal in [true, false] {
        for mode in [PadMode::Reflect, PadMode::Constant] {
            for ratio in if causal { vec![1.0, 0.5, 0.0] } else { vec![1.0] } {
                let (_, network) = random(|config| {
                    (config.use_causal_conv, config.pad_mode, config.trim_right_ratio) = (causal, mode, ratio);
                });
                for frames in [1, 2, 7, 8, 61] {
                    let codes = codes([2, 4, frames], 16);
                    let whole = network.decoder.forward(network.quantizer.decode(codes.clone()));
                    for piece in [1, 3, 16, 100] {
                        let mut decoding = network.decoding();
                        let mut parts = Vec::new();
                        for start in (0..frames).step_by(piece) {
                            parts.extend(decoding.push(codes.clone().narrow(2, start, piece.min(frames - start))));
                        }
                        let early: usize = parts.iter().map(|part| part.dims()[2]).sum();
                        assert!(early <= 20 * frames && (causal || early < 20 * frames));
                        parts.extend(decoding.finish());
                        let found = Tensor::cat(parts, 2);
                        assert_eq!(found.dims(), whole.dims());
                        let what = format!("{mode:?}, {frames} frames in pieces of {piece}, causal {causal}");
                        assert_close(&host(&found), &host(&whole), 2e-6, &what);
                    }
                }
            }
        }
    }
}

/// MusicGen's own reach: what is held back is a fifth of a second.
#[test]
fn little_is_held_back() {
    let (_, network) = random(|config| {
        let published = EncodecConfig { num_filters: 2, hidden_size: 8, ..EncodecConfig::khz_32() };
        *config = EncodecConfig { codebook_size: 16, target_bandwidths: vec![0.8], ..published };
    });
    let mut decoding = network.decoding();
    let mut samples = 0;
    for _ in 0..50 {
        samples += decoding.push(codes([1, 4, 1], 16)).map_or(0, |part| part.dims()[2]);
    }
    assert!(samples >= 640 * 40 && samples < 640 * 50, "{samples} samples of 50 frames");
    assert_eq!(samples + decoding.finish().unwrap().dims()[2], 640 * 50);
}

#[test]
fn long_waveforms_are_encoded_and_decoded_in_pieces() {
    for causal in [true, false] {
        let (config, network) = random(|config| config.use_causal_conv = causal);
        let length = 300_007;
        let samples = waveform(1, 1, length);
        // A network that is told not to cut.
        let mut whole = network.clone();
        (whole.encoder.cuts, whole.decoder.cuts) = (false, false);
        let expected = whole.encoder.forward(samples.clone());
        let found = network.encoder.forward(samples);
        assert_eq!(found.dims(), [1, 8, length.div_ceil(20)]);
        assert_close(&host(&found), &host(&expected), 2e-6, "encodings");
        let codes = network.quantizer.encode(found, config.num_quantizers());
        assert_close(&host(&network.decode_codes(codes.clone())), &host(&whole.decode_codes(codes)), 2e-6, "samples");
    }
}

#[test]
fn an_item_is_the_same_alone_and_in_a_batch() {
    let (config, network) = random(|_| {});
    let samples = waveform(3, 1, 500);
    let together = network.encode(samples.clone(), config.num_quantizers()).remove(0).codes;
    for item in 0..3 {
        let alone = network.encode(samples.clone().narrow(0, item, 1), config.num_quantizers()).remove(0).codes;
        assert_eq!(numbers(&alone), numbers(&together.clone().narrow(0, item, 1)));
    }
}

#[test]
fn both_channels_of_stereo_come_in_turns() {
    // Left 10, 11, right 20, 21.
    let channels = Tensor::<3, Int>::from_data([[[10], [11]], [[20], [21]]], &Device::flex());
    let together = interleave(channels.clone());
    assert_eq!(numbers(&together), [10, 20, 11, 21]);
    assert_eq!(numbers(&deinterleave(together)), numbers(&channels));
}

/// As transformers counts them, without magnitudes of weight norm and codebooks.
#[test]
fn published_networks_have_their_published_sizes() {
    for (config, expected, books) in [
        (EncodecConfig::default(), 14_846_817, 32),
        (EncodecConfig::khz_48(), 14_856_294, 16),
        (EncodecConfig::khz_32(), 56_876_737, 4),
    ] {
        config.validate().unwrap();
        let shapes = parameters::shapes(&config.build(&Device::flex()));
        let (codebooks, others): (Vec<_>, Vec<_>) = shapes.iter().partition(|(name, _)| name.ends_with(".embed"));
        assert_eq!(codebooks.len(), books);
        assert_eq!(others.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum::<usize>(), expected);
    }
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    let good = EncodecConfig::default;
    let cases = [
        (EncodecConfig { model_type: "musicgen".to_owned(), ..good() }, "model_type"),
        (EncodecConfig { upsampling_ratios: Vec::new(), ..good() }, "upsampling_ratios"),
        (EncodecConfig { upsampling_ratios: vec![8, 0], ..good() }, "upsampling_ratios"),
        (EncodecConfig { upsampling_ratios: vec![usize::MAX; 8], ..good() }, "upsampling_ratios"),
        (EncodecConfig { sampling_rate: 0, ..good() }, "sampling_rate"),
        (EncodecConfig { audio_channels: 3, ..good() }, "audio_channels"),
        (EncodecConfig { hidden_size: 0, ..good() }, "hidden_size"),
        (EncodecConfig { num_filters: 1 << 40, ..good() }, "num_filters"),
        (EncodecConfig { kernel_size: 0, ..good() }, "kernel_size"),
        (EncodecConfig { compress: 33, ..good() }, "compress"),
        (EncodecConfig { codebook_size: 1000, ..good() }, "codebook_size"),
        (EncodecConfig { codebook_dim: Some(64), ..good() }, "codebook_dim"),
        (EncodecConfig { trim_right_ratio: 1.5, ..good() }, "trim_right_ratio"),
        (EncodecConfig { trim_right_ratio: 0.5, use_causal_conv: false, ..good() }, "trim_right_ratio"),
        (EncodecConfig { use_causal_conv: true, ..EncodecConfig::khz_48() }, "norm_type"),
        (EncodecConfig { target_bandwidths: Vec::new(), ..good() }, "target_bandwidths"),
        (EncodecConfig { target_bandwidths: vec![f64::NAN], ..good() }, "target_bandwidths"),
        (EncodecConfig { target_bandwidths: vec![0.1], ..good() }, "target_bandwidths"),
        (EncodecConfig { chunk_length_s: Some(0.0), ..good() }, "chunk_length_s"),
        (EncodecConfig { chunk_length_s: Some(f64::NAN), ..good() }, "chunk_length_s"),
        (EncodecConfig { overlap: Some(1.0), ..EncodecConfig::khz_48() }, "overlap"),
    ];
    for (config, field) in cases {
        assert_eq!(config.validate().unwrap_err().field, field);
    }
    assert!(serde_json::from_str::<EncodecConfig>("{\"pad_mode\": \"circular\"}").is_err());
}

#[test]
fn files_that_are_no_encodec_are_refused() {
    let refused = |path: &str| encodec::open(&fixture(path), &Device::flex()).err().unwrap().to_string();
    let message = refused("encodec/pointer.bin");
    assert!(message.contains("facebook/encodec_32khz"), "{message}");
    assert_eq!(encodec::points_to(&fixture("encodec/pointer.bin")).as_deref(), Some("facebook/encodec_32khz"));
    assert_eq!(encodec::points_to(&fixture("encodec/encodec_24khz.th")), None);
    let message = refused("vggish/vggish.pth");
    assert!(message.contains("vggish.pth"), "{message}");
    assert!(refused("encodec/nothing.th").contains("nothing.th"));
    assert!(refused("clap").contains("config.json"));
}
