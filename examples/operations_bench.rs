//! The timed side of `scripts/bench/operations.py`: says that it is ready, then for each line `NAME COUNT` on standard input does that operation so
//! many times and prints the seconds it took, so that the script can alternate it with the reference.
//!
//! The operations are called as the networks call them.
#![allow(clippy::print_stdout)]

use std::collections::HashMap;
use std::error::Error;
use std::hint::black_box;
use std::io::BufRead;
use std::time::Instant;

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, ConvTranspose1d, ConvTranspose1dConfig};
use burn::nn::{
    GroupNorm, GroupNormConfig, LayerNormConfig, LinearConfig, PaddingConfig1d, PaddingConfig2d, RmsNormConfig,
};
use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::initialise::torch_default;
use nocturne_models::ops::{self, AttentionOptions};
use nocturne_models::random::Random;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    nocturne::memory::keep_freed();
    let mut operations = operations(&Device::flex());
    println!("{}", json!({ "operations": operations.len() }));
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (name, count) = line.split_once(' ').ok_or("expected a name and a count")?;
        let operation = operations.get_mut(name).ok_or_else(|| format!("no operation {name}"))?;
        let count: usize = count.parse()?;
        let start = Instant::now();
        for _ in 0..count {
            operation();
        }
        println!("{}", json!({ "seconds": start.elapsed().as_secs_f64() }));
    }
    Ok(())
}

type Operation = Box<dyn FnMut()>;

fn operations(device: &Device) -> HashMap<&'static str, Operation> {
    let mut all: HashMap<&'static str, Operation> = HashMap::new();
    for (name, channels, shape) in [("conv2d-wide", 128, [1, 128, 64, 64]), ("conv2d-deep", 256, [4, 256, 16, 16])] {
        let (layer, input) = (conv3x3(channels, device), normal(shape, device));
        all.insert(name, Box::new(move || drop(black_box(ops::conv2d(&layer, input.clone())))));
    }

    let (norm, input) = (group_norm(device), normal([1, 128, 64, 64], device));
    all.insert("norm-silu", Box::new(move || drop(black_box(ops::group_norm_silu(&norm, input.clone())))));

    let [query, key, value] = [(); 3].map(|()| normal([1, 1024, 8 * 64], device));
    let attend = move || {
        let options = AttentionOptions::default();
        drop(black_box(ops::attention(query.clone(), key.clone(), value.clone(), 8, options)));
    };
    all.insert("attention", Box::new(attend));

    let layer: Conv1d =
        filled(Conv1dConfig::new(256, 256, 11).with_padding(PaddingConfig1d::Explicit(5, 5)).init(device));
    let input = normal([1, 256, 2048], device);
    all.insert("conv1d", Box::new(move || drop(black_box(ops::conv1d(&layer, input.clone())))));

    let config = ConvTranspose1dConfig::new([256, 128], 16).with_stride(8).with_padding(4);
    let (layer, input): (ConvTranspose1d, _) = (filled(config.init(device)), normal([1, 256, 2048], device));
    all.insert("conv-transpose1d", Box::new(move || drop(black_box(ops::conv_transpose1d(&layer, input.clone())))));

    let config = Conv1dConfig::new(512, 512, 12).with_groups(512);
    let (layer, input): (Conv1d, _) = (filled(config.init(device)), normal([1, 512, 4096], device));
    all.insert("depthwise", Box::new(move || drop(black_box(ops::conv1d(&layer, input.clone())))));

    for (name, shape) in [("snake-wide", [1, 768, 13_780]), ("snake-long", [1, 24, 220_500])] {
        let (input, parameters) = (normal(shape, device), snake(shape[1], device));
        all.insert(name, Box::new(move || drop(black_box(parameters.apply(input.clone())))));
    }

    for (name, rows) in [("linear", 2), ("linear-16", 16)] {
        let (layer, input): (_, Tensor<2>) =
            (filled(LinearConfig::new(1024, 4096).init(device)), normal([rows, 1024], device));
        all.insert(name, Box::new(move || drop(black_box(ops::linear(&layer, input.clone())))));
    }

    let (layer, input): (_, Tensor<2>) = (LayerNormConfig::new(1024).init(device), normal([512, 1024], device));
    all.insert("layer-norm", Box::new(move || drop(black_box(ops::layer_norm(&layer, 1e-5, input.clone())))));
    let (layer, input): (_, Tensor<2>) = (RmsNormConfig::new(1024).init(device), normal([512, 1024], device));
    all.insert("rms-norm", Box::new(move || drop(black_box(ops::rms_norm(&layer, input.clone())))));

    let [left, right]: [Tensor<2>; 2] = [(); 2].map(|()| normal([1024, 1024], device));
    all.insert("matmul", Box::new(move || drop(black_box(left.clone().matmul(right.clone())))));

    let device = device.clone().autodiff();
    let parameters = snake(96, &device);
    let parameters =
        Snake { alpha: parameters.alpha.require_grad(), beta: parameters.beta.require_grad(), ..parameters };
    let [input, weight] = [(); 2].map(|()| normal([2, 96, 8192], &device));
    let input = input.require_grad();
    let train = move || {
        let gradients = (parameters.apply(input.clone()) * weight.clone()).sum().backward();
        assert!(parameters.beta.grad(&gradients).is_some() && input.grad(&gradients).is_some());
    };
    all.insert("snake-training", Box::new(train));

    let (layer, norm) = (conv3x3(128, &device), group_norm(&device));
    let (input, weight) = (normal([4, 128, 32, 32], &device).require_grad(), normal([4, 128, 32, 32], &device));
    let train = move || {
        let output = ops::group_norm_silu(&norm, ops::conv2d(&layer, input.clone()));
        let gradients = (output * weight.clone()).sum().backward();
        assert!(layer.weight.val().grad(&gradients).is_some() && input.grad(&gradients).is_some());
    };
    all.insert("block-training", Box::new(train));
    all
}

fn conv3x3(channels: usize, device: &Device) -> Conv2d {
    let config = Conv2dConfig::new([channels, channels], [3, 3]).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
    filled(config.init(device))
}

fn group_norm(device: &Device) -> GroupNorm {
    filled(GroupNormConfig::new(32, 128).init(device))
}

/// The parameters of an anti-aliased snake.
struct Snake {
    alpha: Tensor<1>,
    beta: Tensor<1>,
    filter: Tensor<1>,
}

impl Snake {
    fn apply(&self, input: Tensor<3>) -> Tensor<3> {
        let (alpha, beta, filter) = (self.alpha.clone(), self.beta.clone(), self.filter.clone());
        ops::anti_aliased_snake(input, alpha, beta, filter.clone(), filter)
    }
}

fn snake(channels: usize, device: &Device) -> Snake {
    let [alpha, beta] = [(); 2].map(|()| Tensor::ones([channels], device));
    Snake { alpha, beta, filter: normal([12], device) / 4.0 }
}

fn filled<M: Module>(module: M) -> M {
    torch_default(module, &mut Random::new(0, "weights", 0))
}

fn normal<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = Random::new(0, "input", 0).normal(shape.iter().product());
    Tensor::from_data(TensorData::new(values, shape), device)
}
