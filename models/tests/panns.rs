//! Cnn14 against its layers in PyTorch, on fixtures of `scripts/reference/panns.py`.
#![allow(clippy::unwrap_used)]

#[path = "common/taps.rs"]
mod taps;

use burn::tensor::Device;
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::panns::Cnn14;
use taps::{Taps, fixture, host};

fn load() -> Cnn14 {
    Cnn14::load(Checkpoint::open(&fixture("panns/cnn14.pth")).unwrap(), &Device::flex()).unwrap()
}

fn taps() -> Taps {
    Taps::open("panns/taps.safetensors", &Device::flex())
}

#[test]
fn every_block_matches() {
    let (network, taps) = (load(), taps());
    let mel = taps.tensor::<4>("mel");
    for (index, output) in network.blocks(mel.clone()).iter().enumerate() {
        taps.compare(&format!("blocks.{index}"), output);
    }
    let heard = network.forward(mel);
    taps.compare("embedding", &heard.embedding);
    taps.compare("logits", &heard.logits);
    assert_eq!([network.dim(), network.classes()], [10, 7]);
}

#[test]
fn a_clip_is_heard_the_same_alone_and_in_a_batch() {
    let (network, taps) = (load(), taps());
    let mel = taps.tensor::<4>("mel");
    let together = host(&network.forward(mel.clone()).logits);
    let alone: Vec<f32> =
        (0..2).flat_map(|index| host(&network.forward(mel.clone().narrow(0, index, 1)).logits)).collect();
    assert_eq!(alone, together);
}

#[test]
fn the_shortest_sound_is_heard() {
    let heard = load().forward(taps().tensor::<4>("mel").narrow(2, 0, Cnn14::LEAST_FRAMES));
    assert!(host(&heard.logits).iter().all(|value| value.is_finite()));
}

#[test]
fn files_of_other_networks_are_refused() {
    let other = Checkpoint::open(&fixture("vggish/vggish.pth")).unwrap();
    let error = Cnn14::load(other, &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("missing: bn0.weight") && error.contains("unexpected: embeddings.0.bias"), "{error}");
}
