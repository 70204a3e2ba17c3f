//! The timed side of `scripts/bench/unet.py`: says on its first line what it runs, then does it once for each line on
//! standard input and prints the seconds it took, so that the script can alternate it with the reference.
//!
//! `unet_bench forward` is the published network of 113.7 million parameters on one 256 × 256 mel; `unet_bench step` is
//! one optimiser step of quickstart's network: forward, backward, clipping, `AdamW`. `unet_bench published` is such a step
//! of the network and the mel of `forward`, `unet_bench checkpointed` the same with gradient checkpointing.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::BufRead;
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use nocturne::config::{Experiment, Layers};
use nocturne::quickstart::CONFIGURATION;
use nocturne::train::batches::Batch;
use nocturne::train::learner::{Learner, tensor};
use nocturne_models::backbone::BackboneKind;
use nocturne_models::diffusion::Network;
use nocturne_models::network::NetworkConfig;
use nocturne_models::random::Random;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    nocturne::memory::keep_freed();
    let task = std::env::args().nth(1).ok_or("expected forward, step, published or checkpointed")?;
    let (mut experiment, shape) = match task.as_str() {
        "forward" | "published" | "checkpointed" => (Experiment::default(), [1, 1, 256, 256]),
        "step" => {
            let layers = Layers::default().built_in(CONFIGURATION)?;
            let experiment = Experiment::resolve(layers, BackboneKind::UNet2D)?;
            let [frames, mels] = experiment.data.resolution;
            let shape = [experiment.train.train_batch_size, 1, mels, frames];
            (experiment, shape)
        }
        _ => return Err(format!("no task {task}").into()),
    };
    // The reference keeps no average of the weights.
    experiment.train.use_ema = false;
    experiment.train.gradient_checkpointing = task == "checkpointed";
    experiment.model.set_channels(1);

    let device = Device::flex();
    let mut random = Random::new(0, "bench", 0);
    let count = shape.iter().product();
    let (samples, noise) = (random.normal(count), random.normal(count));
    let network = experiment.model.init(&device, &mut random)?;
    let network = network.gradient_checkpointing(experiment.train.gradient_checkpointing);
    let parameters = experiment.model.parameter_count()?;
    let said =
        json!({ "model": experiment.model, "train": experiment.train, "shape": shape, "parameters": parameters });
    println!("{said}");

    let mut work: Box<dyn FnMut() -> Result<(), Box<dyn Error>>> = if task == "forward" {
        Box::new(move || {
            let timesteps = Tensor::<1>::full([shape[0]], 500.0, &device);
            network.forward(tensor(samples.clone(), shape, &device), timesteps, None).into_data();
            Ok(())
        })
    } else {
        let mut learner = Learner::new(network, &experiment.scheduler, &experiment.train, 1_000_000)?;
        let timesteps: Vec<f32> = (0..shape[0]).map(|item| (item * 999 / shape[0]) as f32).collect();
        let batch = Batch { shape, samples, noise, timesteps, conditions: None, files: Vec::new() };
        Box::new(move || {
            for loss in learner.step(|| Ok(batch.clone()))?.losses {
                loss.into_data();
            }
            Ok(())
        })
    };
    for line in std::io::stdin().lock().lines() {
        line?;
        let start = Instant::now();
        work()?;
        println!("{}", json!({ "seconds": start.elapsed().as_secs_f64() }));
    }
    Ok(())
}
