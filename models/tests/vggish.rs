//! VGGish against torchvggish's layers in PyTorch, on fixtures of `scripts/reference/vggish.py`.
#![allow(clippy::unwrap_used)]

#[path = "common/taps.rs"]
mod taps;

use burn::tensor::Device;
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::vggish::{Vggish, Whitening};
use taps::{Taps, fixture, host};

fn checkpoint(name: &str) -> Checkpoint {
    Checkpoint::open(&fixture(&format!("vggish/{name}"))).unwrap()
}

fn taps() -> Taps {
    Taps::open("vggish/taps.safetensors", &Device::flex())
}

#[test]
fn every_stage_matches() {
    let (network, taps) = (Vggish::load(checkpoint("vggish.pth"), &Device::flex()).unwrap(), taps());
    let examples = taps.tensor::<4>("examples");
    for (index, stage) in network.stages(examples.clone()).iter().enumerate() {
        taps.compare(&format!("stages.{index}"), stage);
    }
    let output = network.forward(examples);
    taps.compare("output", &output);
    taps.compare("last", &output.clamp_min(0.0));
    assert_eq!(network.dim(), 12);
}

#[test]
fn an_example_is_heard_the_same_alone_and_in_a_batch() {
    let (network, taps) = (Vggish::load(checkpoint("vggish.pth"), &Device::flex()).unwrap(), taps());
    let examples = taps.tensor::<4>("examples");
    let together = host(&network.forward(examples.clone()));
    let alone: Vec<f32> =
        (0..2).flat_map(|index| host(&network.forward(examples.clone().narrow(0, index, 1)))).collect();
    assert_eq!(alone, together);
}

#[test]
fn whitened_vectors_are_the_published_whole_numbers() {
    let (whitening, taps) = (Whitening::load(checkpoint("pca.pth"), &Device::flex()).unwrap(), taps());
    let found = host(&whitening.forward(taps.tensor("output")));
    assert_eq!(found, taps.file.read("whitened").unwrap());
    let inside = found.iter().filter(|value| (1.0..=254.0).contains(*value)).count();
    assert!(inside > 5, "{inside} of {} values are not at the bounds", found.len());
}

#[test]
fn files_of_other_networks_are_refused() {
    let error = Vggish::load(checkpoint("pca.pth"), &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("missing: features.0.weight") && error.contains("unexpected"), "{error}");
    let error = Whitening::load(checkpoint("vggish.pth"), &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("pca_means"), "{error}");
}
