//! The timed side of `scripts/bench/musicgen.py`: says on its first line which codes it makes, then makes as many frames as each line on
//! standard input says, and prints the seconds it took.
//!
//! `musicgen_bench FOLDER [PRECISION]`, for a folder of transformers' `MusicgenForCausalLM` with `task.safetensors` in it: an encoded
//! caption. The first line has the scores of the first step as well.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::BufRead;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use burn::tensor::{Device, Int, Tensor, TensorData};
use clap::ValueEnum;
use nocturne::musicgen::Precision;
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::musicgen::{Generation, MusicgenDecoderConfig, MusicgenForCausalLm, Sampling, generate};
use nocturne_models::network;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    nocturne::memory::keep_freed();
    let folder = std::env::args().nth(1).ok_or("expected FOLDER [PRECISION]")?;
    let precision = Precision::from_str(&std::env::args().nth(2).unwrap_or("f32".to_owned()), false)?;
    let (folder, device) = (Path::new(&folder), Device::flex());
    let narrowed = |network: MusicgenForCausalLm| network.narrowed(precision.narrow());
    let (config, mut network) = network::open_as::<MusicgenDecoderConfig>(folder, &device, narrowed)?;
    let task = Checkpoint::open(&folder.join("task.safetensors"))?;
    let shape = <[usize; 3]>::try_from(task.shape("states").unwrap_or_default())?;
    let states = Tensor::<3>::from_data(TensorData::new(task.read("states")?, shape), &device);
    let condition = network.condition(&states, None);
    network.take_no_more_conditions();
    let prompts = [vec![Vec::new(); config.num_codebooks]];
    let make = |frames| {
        let generation = Generation {
            frames,
            prompts: &prompts,
            sampling: Sampling::GREEDY,
            guidance_scale: 3.0,
            two_step_cfg: false,
            seeds: &[0],
        };
        generate(&network, &config, Some(&condition), &generation, |_, _| ControlFlow::Continue(()))
    };
    let start = Tensor::<3, Int>::full([1, config.num_codebooks, 1], config.special() as i32, &device);
    let mut memory = network.memory(1, 1, Some(&condition));
    let scores: Vec<f32> = network.step(start, &mut memory, None).into_data().iter().collect();
    drop(memory);
    println!("{}", json!({ "codes": make(10)?.concat().concat(), "scores": scores }));
    for line in std::io::stdin().lock().lines() {
        let frames = line?.parse()?;
        let start = Instant::now();
        make(frames)?;
        println!("{}", json!({ "seconds": start.elapsed().as_secs_f64() }));
    }
    Ok(())
}
