//! Gradient checkpointing keeps what goes into a block, not what is computed in it: counted in bytes, so that no other
//! process has a say.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use common::{normal, on_threads};
use nocturne_models::backbone::{Backbone, BackboneConfig};
use nocturne_models::diffusion::Network;
use nocturne_models::dit::DiTConfig;
use nocturne_models::network::NetworkConfig;
use nocturne_models::random::Random;
use nocturne_models::unet::{SampleSize, UNet2DConfig};

/// The system's allocator, with the sum of what is in use.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is the system's allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that forward and backward of one item take beside the network itself.
fn peak(network: &Backbone, [height, width]: [usize; 2]) -> usize {
    let device = Device::flex().autodiff();
    let step = || {
        let sample = normal([1, 1, height, width], "sample", &device);
        let output = network.forward(sample, Tensor::from_floats([500.0], &device), None);
        drop(output.square().mean().backward());
    };
    // The first takes what is taken once.
    step();
    let before = LIVE.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    step();
    MOST.load(Ordering::Relaxed) - before
}

/// Bytes that each of the layers that `deep` has more than `shallow` takes, without and with checkpointing, and of its
/// gradients.
fn per_layer(shallow: &BackboneConfig, deep: &BackboneConfig, more: usize, size: [usize; 2]) -> [usize; 3] {
    let built =
        [shallow, deep].map(|config| config.init(&Device::flex(), &mut Random::new(1, "init", 0)).unwrap().train());
    let [without, with] = [false, true].map(|on| {
        let [shallow, deep] = built.each_ref().map(|network| peak(&network.clone().gradient_checkpointing(on), size));
        (deep - shallow) / more
    });
    let [shallow, deep] = built.map(|network| network.num_params());
    [without, with, size_of::<f32>() * (deep - shallow) / more]
}

fn dit(num_layers: usize) -> BackboneConfig {
    BackboneConfig::DiT(DiTConfig {
        patch_size: SampleSize::Square(4),
        num_layers,
        num_attention_heads: 2,
        attention_head_dim: 16,
        ..DiTConfig::default()
    })
}

/// One resolution: what a layer takes is the same everywhere.
fn unet(layers_per_block: usize) -> BackboneConfig {
    BackboneConfig::UNet2D(UNet2DConfig {
        in_channels: 1,
        out_channels: 1,
        block_out_channels: vec![16],
        down_block_types: vec!["AttnDownBlock2D".to_owned()],
        up_block_types: vec!["AttnUpBlock2D".to_owned()],
        layers_per_block,
        norm_num_groups: Some(4),
        ..UNet2DConfig::default()
    })
}

#[test]
fn memory_grows_with_what_goes_into_a_layer() {
    on_threads(1, || {
        // 1024 tokens of 32 channels; 4 and 12 blocks.
        let input = 1024 * 32 * size_of::<f32>();
        check("DiT", per_layer(&dit(4), &dit(12), 8, [128, 128]), input);
        // 64 × 64 pixels of 16 channels; 2 down and 3 up, 6 down and 7 up. Up, a skip goes in too.
        let input = 2 * 64 * 64 * 16 * size_of::<f32>();
        check("U-Net", per_layer(&unet(2), &unet(6), 8, [64, 64]), input);
    });
}

fn check(what: &str, [without, with, gradients]: [usize; 3], input: usize) {
    println!("{what}: {without} bytes a layer, with checkpointing {with}; {input} go in, {gradients} are gradients");
    // A tenth for graphs and small vectors.
    assert!(10 * with < 11 * (input + gradients), "{what}: {with} of {input} and {gradients}");
    assert!(without > 4 * with, "{what}: {with}, but without checkpointing only {without}");
}
