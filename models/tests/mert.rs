//! MERT against transformers' `HubertModel`, on fixtures of `scripts/reference/mert.py`.
#![allow(clippy::unwrap_used)]

#[path = "common/taps.rs"]
mod taps;

use std::fs;

use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::mert::{Mert, MertConfig};
use nocturne_models::network::{self, NetworkConfig};
use nocturne_models::parameters;
use taps::{TOLERANCE, Taps, fixture, host};

const NETWORKS: [&str; 2] = ["mert", "stable"];

fn open(name: &str) -> (MertConfig, Mert) {
    network::open(&fixture(&format!("mert/{name}")), &Device::flex()).unwrap()
}

fn taps(name: &str) -> Taps {
    Taps::open(&format!("mert/{name}.safetensors"), &Device::flex())
}

/// As the script makes it.
fn waveform(length: usize) -> Vec<f32> {
    let sample = |index: usize| {
        let index = index as f64;
        (0.4 * libm::sin(0.11 * index) + 0.3 * libm::cos(0.000_13 * libm::pow(index, 1.5)) + 0.05) as f32
    };
    (0..length).map(sample).collect()
}

fn tensor(samples: Vec<f32>) -> Tensor<3> {
    let shape = [1, 1, samples.len()];
    Tensor::from_data(TensorData::new(samples, shape), &Device::flex())
}

/// Mean 0 and variance 1, as the published front end makes them.
fn normalised(samples: Vec<f32>) -> Vec<f32> {
    let count = samples.len() as f64;
    let mean = samples.iter().map(|sample| f64::from(*sample)).sum::<f64>() / count;
    let variance = samples.iter().map(|sample| (f64::from(*sample) - mean).powi(2)).sum::<f64>() / count;
    samples.iter().map(|sample| ((f64::from(*sample) - mean) / (variance + 1e-7).sqrt()) as f32).collect()
}

#[test]
fn every_stage_matches() {
    for name in NETWORKS {
        let ((config, network), taps) = (open(name), taps(name));
        let samples = normalised(waveform(9000));
        let some: Vec<f32> = samples.iter().step_by(50).copied().collect();
        assert!(taps.error("samples", &some) < TOLERANCE);
        let features = network.feature_extractor.forward(tensor(samples.clone()));
        taps.compare("features", &features);
        taps.compare("projected", &network.feature_projection.forward(features.swap_dims(1, 2)));
        let states = network.states(tensor(samples), config.num_hidden_layers);
        assert_eq!(states.len(), config.num_hidden_layers + 1);
        for (index, state) in states.iter().enumerate() {
            taps.compare(&format!("states.{index}"), state);
        }
        taps.compare("short", network.states(tensor(waveform(900)), config.num_hidden_layers).last().unwrap());
    }
}

#[test]
fn fewer_layers_give_the_same_states() {
    for name in NETWORKS {
        let (_, network) = open(name);
        let states = network.states(tensor(waveform(2000)), 3);
        for layers in 0..3 {
            let fewer = network.states(tensor(waveform(2000)), layers);
            assert_eq!(fewer.len(), layers + 1);
            assert_eq!(host(&fewer[layers]), host(&states[layers]));
        }
    }
}

/// The first normalisation is over the whole length, though the frames are made some at a time.
#[test]
fn long_waveforms_are_heard_as_a_whole() {
    for name in NETWORKS {
        let (_, network) = open(name);
        // More than one piece of frames, and of the first convolution's results; a quiet half and a loud one.
        let length = 200_003;
        let mut samples = waveform(length);
        samples.iter_mut().take(length / 2).for_each(|sample| *sample *= 0.1);
        let mut hidden = tensor(samples.clone());
        for layer in &network.feature_extractor.conv_layers {
            hidden = nocturne_models::ops::conv1d(&layer.conv, hidden);
            hidden = match &layer.layer_norm {
                Some(nocturne_models::mert::ConvNorm::Group(norm)) => norm.forward(hidden),
                Some(nocturne_models::mert::ConvNorm::Layer(norm)) => {
                    norm.forward(hidden.swap_dims(1, 2)).swap_dims(1, 2)
                }
                None => hidden,
            };
            hidden = burn::tensor::activation::gelu(hidden);
        }
        let found = network.feature_extractor.forward(tensor(samples));
        assert_eq!(found.dims(), hidden.dims());
        assert_eq!(found.dims()[2], network.feature_extractor.frames(length));
        let (found, expected) = (host(&found), host(&hidden));
        let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let error = found.iter().zip(&expected).fold(0.0f32, |error, (a, b)| error.max((a - b).abs())) / largest;
        assert!(error < 1e-5, "{name}: {error}");
    }
}

#[test]
fn frames_are_counted_as_convolutions_make_them() {
    let config = MertConfig::default();
    assert_eq!(config.frame(), [320, 400]);
    let (_, network) = open("mert");
    let counts = [0, 399, 400, 719, 720, 24_000].map(|samples| network.feature_extractor.frames(samples));
    assert_eq!(counts, [0, 0, 1, 1, 2, 74]);
}

/// As transformers counts them, without magnitudes of weight norm.
#[test]
fn the_published_network_has_its_published_size() {
    let config = MertConfig::default();
    config.validate().unwrap();
    let shapes = parameters::shapes(&config.build(&Device::flex()));
    let count: usize = shapes.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    assert_eq!(count, 94_370_816);
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    let good = MertConfig::default;
    let cases = [
        (MertConfig { model_type: "wav2vec2".to_owned(), ..good() }, "model_type"),
        (MertConfig { hidden_act: "relu".to_owned(), ..good() }, "hidden_act"),
        (MertConfig { feat_extract_activation: "relu".to_owned(), ..good() }, "feat_extract_activation"),
        (MertConfig { conv_pos_batch_norm: true, ..good() }, "conv_pos_batch_norm"),
        (MertConfig { feature_extractor_cqt: true, ..good() }, "feature_extractor_cqt"),
        (MertConfig { deepnorm: true, ..good() }, "deepnorm"),
        (MertConfig { attention_relax: 32.0, ..good() }, "attention_relax"),
        (MertConfig { attention_relax: f64::NAN, ..good() }, "attention_relax"),
        (MertConfig { conv_dim: Vec::new(), ..good() }, "conv_dim"),
        (MertConfig { conv_dim: vec![0; 7], ..good() }, "conv_dim"),
        (MertConfig { conv_stride: vec![5; 3], ..good() }, "conv_stride"),
        (MertConfig { conv_stride: vec![5, 2, 2, 2, 2, 2, 3], ..good() }, "conv_stride"),
        (MertConfig { conv_kernel: vec![0; 7], ..good() }, "conv_kernel"),
        (MertConfig { conv_stride: vec![16; 7], conv_kernel: vec![16; 7], ..good() }, "conv_stride"),
        (MertConfig { hidden_size: 0, ..good() }, "hidden_size"),
        (MertConfig { num_attention_heads: 7, ..good() }, "num_attention_heads"),
        (MertConfig { num_conv_pos_embedding_groups: 0, ..good() }, "num_conv_pos_embedding_groups"),
        (MertConfig { num_conv_pos_embeddings: 0, ..good() }, "num_conv_pos_embeddings"),
        (MertConfig { layer_norm_eps: 0.0, ..good() }, "layer_norm_eps"),
    ];
    for (config, field) in cases {
        assert_eq!(config.validate().unwrap_err().field, field);
    }
}

#[test]
fn saved_networks_are_read_again_and_others_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (config, network) = open("mert");
    network::save(&config, &network, folder.path()).unwrap();
    let (read, again) = network::open::<MertConfig>(folder.path(), &Device::flex()).unwrap();
    assert_eq!(read, config);
    let last = |network: &Mert| host(network.states(tensor(waveform(900)), 3).last().unwrap());
    assert_eq!(last(&network), last(&again));
    let text = fs::read_to_string(folder.path().join("config.json")).unwrap();
    fs::write(folder.path().join("config.json"), text.replace("\"hidden_size\": 24", "\"hidden_size\": 48")).unwrap();
    let message = network::open::<MertConfig>(folder.path(), &Device::flex()).err().unwrap().to_string();
    assert!(message.contains("misshapen"), "{message}");
}
