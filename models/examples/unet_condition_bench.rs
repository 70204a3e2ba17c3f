//! scratch
#![allow(clippy::unwrap_used)]
use burn::tensor::{Device, Tensor};
use nocturne_models::diffusion::Condition;
use nocturne_models::network::NetworkConfig;
use nocturne_models::random::Random;
use nocturne_models::unet_condition::*;
use std::time::Instant;

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
fn time(label: &str, runs: usize, mut f: impl FnMut()) {
    f();
    let times = (0..runs)
        .map(|_| {
            let t = Instant::now();
            f();
            t.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    println!("{label}: {:.2} ms", median(times));
}
fn rand<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = Random::new(1, "x", 0).normal(shape.iter().product());
    Tensor::from_data(burn::tensor::TensorData::new(values, shape), device)
}
fn main() {
    let plain = Device::flex();
    let config = UNet2DConditionConfig {
        in_channels: 1,
        out_channels: 1,
        block_out_channels: vec![128, 256, 256],
        down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"].map(str::to_owned).to_vec(),
        up_block_types: ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"].map(str::to_owned).to_vec(),
        cross_attention_dim: PerLevel::One(512),
        ..Default::default()
    };
    let args: Vec<String> = std::env::args().collect();
    let whole = args.len() > 1;
    for tokens in [1, 77] {
        for masked in [false, true] {
            let mask = |device: &Device| masked.then(|| Tensor::<2>::ones([1, tokens], device));
            let unet = config.init(&plain, &mut Random::new(1, "init", 0)).unwrap();
            let condition = Condition { encodings: rand([1, tokens, 512], &plain), mask: mask(&plain) };
            let context = unet.context(&condition);
            let time_embedding = unet.embed(Tensor::from_floats([5.0], &plain), None);
            let transformer = |block: &BlockAttention, x: Tensor<4>, c: &Context| block.forward(x, c);
            let x = rand([1, 256, 32, 32], &plain);
            let block = &unet.down_blocks[2];
            let label = format!("tokens {tokens} mask {masked}");
            time(&format!("{label} block forward 256ch 32x32"), 15, || {
                let mut s = vec![];
                let _ = block.forward(x.clone(), &time_embedding, &context, &mut s).into_data();
            });
            time(&format!("{label} transformer forward"), 15, || {
                let _ = transformer(&block.attentions[0], x.clone(), &context).into_data();
            });
            if let (BlockAttention::Transformer(t), false) = (&block.attentions[0], masked) {
                let t = &t.transformer_blocks[0];
                let rows = rand([1, 1024, 256], &plain);
                time("  attn1", 15, || {
                    let _ = t.attn1.forward(rows.clone(), None).into_data();
                });
                time("  attn2", 15, || {
                    let _ = t.attn2.forward(rows.clone(), Some(&context)).into_data();
                });
                time("  ff", 15, || {
                    let _ = t.ff.forward(rows.clone()).into_data();
                });
                time("  geglu.proj", 15, || {
                    let _ = nocturne_models::ops::linear(&t.ff.net.0.proj, rows.clone()).into_data();
                });
                time("  ff.net.0", 15, || {
                    let _ = t.ff.net.0.forward(rows.clone()).into_data();
                });
                let wide = rand([1, 1024, 2048], &plain);
                time("  gelu of a narrow", 15, || {
                    let _ = burn::tensor::activation::gelu(wide.clone().narrow(2, 1024, 1024)).into_data();
                });
                time("  gate times narrow", 15, || {
                    let _ = (wide.clone().narrow(2, 1024, 1024) * rand([1, 1, 1], &plain)).into_data();
                });
                time("  conv1x1 proj", 15, || {
                    let _ = match &unet.down_blocks[2].attentions[0] {
                        BlockAttention::Transformer(t) => match &t.proj_in {
                            Projection::Conv(c) => nocturne_models::ops::conv2d(c, x.clone()).into_data(),
                            Projection::Linear(_) => unreachable!(),
                        },
                        _ => unreachable!(),
                    };
                });
                time("  layer_norm", 15, || {
                    let _ = nocturne_models::ops::layer_norm(&t.norm1, 1e-5, rows.clone()).into_data();
                });
            }
            let device = Device::flex().autodiff();
            let unet = config.init(&device, &mut Random::new(1, "init", 0)).unwrap();
            let condition = Condition { encodings: rand([1, tokens, 512], &device), mask: mask(&device) };
            let context = unet.context(&condition);
            let x = rand([1, 256, 32, 32], &device);
            time(&format!("{label} transformer forward+backward"), 9, || {
                let g = unet.down_blocks[2].attentions[0].forward(x.clone(), &context).square().mean().backward();
                std::hint::black_box(g);
            });
            if whole {
                let sample = rand([1, 1, 64, 64], &device);
                time(&format!("{label} network 64x64 step"), 5, || {
                    let g = unet
                        .forward(sample.clone(), Tensor::from_floats([5.0], &device), &condition)
                        .square()
                        .mean()
                        .backward();
                    std::hint::black_box(g);
                });
            }
        }
    }
}
