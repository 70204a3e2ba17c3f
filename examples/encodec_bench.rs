//! The timed side of `scripts/bench/encodec.py`: says on its first line what it made of the first second of the codes, then
//! encodes or decodes for each line on standard input, as it says, and prints the seconds it took.
//!
//! `encodec_bench FOLDER`, for a folder of transformers' `EncodecModel` with `task.safetensors` in it: a waveform, and codes.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use burn::tensor::{Device, Int, Tensor, TensorData};
use nocturne_models::checkpoint::Checkpoint;
use nocturne_models::encodec;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    nocturne::memory::keep_freed();
    let folder = std::env::args().nth(1).ok_or("expected FOLDER")?;
    let (folder, device) = (Path::new(&folder), Device::flex());
    let (config, network) = encodec::open(folder, &device)?;
    let task = Checkpoint::open(&folder.join("task.safetensors"))?;
    let read = |name: &str| -> Result<_, Box<dyn Error>> {
        let shape = <[usize; 3]>::try_from(task.shape(name).unwrap_or_default())?;
        Ok((task.read(name)?, shape))
    };
    let (values, shape) = read("samples")?;
    let samples = Tensor::<3>::from_data(TensorData::new(values, shape), &device);
    let (values, shape) = read("codes")?;
    let codes = values.iter().map(|code| *code as i32).collect::<Vec<_>>();
    let codes = Tensor::<3, Int>::from_data(TensorData::new(codes, shape), &device);
    let second = codes.clone().narrow(2, 0, config.frame_rate().min(shape[2]));
    let made: Vec<f32> = network.decode_codes(second).into_data().try_to_vec()?;
    println!("{}", json!({ "samples": made }));
    for line in std::io::stdin().lock().lines() {
        let start = Instant::now();
        match line?.as_str() {
            "encode" => {
                for segment in network.encode(samples.clone(), config.num_quantizers()) {
                    drop(segment.codes.into_data());
                }
            }
            "decode" => drop(network.decode_codes(codes.clone()).into_data()),
            other => return Err(format!("expected encode or decode, not {other:?}").into()),
        }
        println!("{}", json!({ "seconds": start.elapsed().as_secs_f64() }));
    }
    Ok(())
}
