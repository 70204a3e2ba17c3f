//! The timed side of `scripts/bench/musicgen.py`: says on its first line which codes it makes, then makes as many frames as each line on
//! standard input says, and prints the seconds it took.
//!
//! `musicgen_bench FOLDER`, for a folder of transformers' `MusicgenForCausalLM` with `task.safetensors` in it: an encoded caption.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::BufRead;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::musicgen::{Condition, Generation, MusicgenDecoderConfig, Sampling, generate};
use nocturne_models::network;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    nocturne::memory::keep_freed();
    let folder = std::env::args().nth(1).ok_or("expected FOLDER")?;
    let (folder, device) = (Path::new(&folder), Device::flex());
    let (config, network) = network::open::<MusicgenDecoderConfig>(folder, &device)?;
    let task = Checkpoint::open(&folder.join("task.safetensors"))?;
    let shape = <[usize; 3]>::try_from(task.shape("states").unwrap_or_default())?;
    let states = Tensor::<3>::from_data(TensorData::new(task.read("states")?, shape), &device);
    let condition = Condition { states, hidden: None };
    let prompts = [vec![Vec::new(); config.num_codebooks]];
    let make = |frames| {
        let generation =
            Generation { frames, prompts: &prompts, sampling: Sampling::GREEDY, guidance_scale: 3.0, seeds: &[0] };
        generate(&network, &config, Some(&condition), &generation, |_, _| ControlFlow::Continue(()))
    };
    println!("{}", json!({ "codes": make(10)?.concat().concat() }));
    for line in std::io::stdin().lock().lines() {
        let frames = line?.parse()?;
        let start = Instant::now();
        make(frames)?;
        println!("{}", json!({ "seconds": start.elapsed().as_secs_f64() }));
    }
    Ok(())
}
