//! What configurations say, and what they may not say.

use burn::tensor::Device;
use serde_json::{Value, json};

use super::{PerLevel, UNet2DConditionConfig};
use crate::blocks::unet::{BlockAttention, DownBlock, UpBlock};
use crate::network::NetworkConfig;

/// A `config.json` of these fields.
fn config(fields: &Value) -> UNet2DConditionConfig {
    serde_json::from_value(fields.clone()).expect("a configuration")
}

/// Why a valid configuration with one field changed is refused.
fn refusal(field: &str, value: Value) -> String {
    let mut fields = json!({
        "_class_name": "UNet2DConditionModel",
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
        "block_out_channels": [4, 8],
        "norm_num_groups": 2,
        "attention_head_dim": 2,
        "sample_size": [8, 12],
    });
    assert_eq!(config(&fields).validate(), Ok(()));
    fields[field] = value;
    match serde_json::from_value::<UNet2DConditionConfig>(fields) {
        Ok(config) => config.validate().expect_err(field).to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let refused = [
        ("_class_name", json!("UNet2DModel"), "_class_name: found \"UNet2DModel\", expected UNet2DConditionModel"),
        (
            "down_block_types",
            json!(["DownBlock2D", "ADownBlock2D"]),
            "down_block_types: found \"ADownBlock2D\", expected DownBlock2D or ",
        ),
        (
            "down_block_types",
            json!(["DownEncoderBlock2D", "DownBlock2D"]),
            "down_block_types: found \"DownEncoderBlock2D\", which diffusers' own UNet2DConditionModel cannot be run with, ",
        ),
        (
            "up_block_types",
            json!(["UpBlock2D", "SkipUpBlock2D"]),
            "up_block_types: found \"SkipUpBlock2D\", which diffusers' own UNet2DConditionModel cannot be run with, ",
        ),
        (
            "down_block_types",
            json!(["KDownBlock2D", "DownBlock2D"]),
            "block_out_channels: found 4, expected enough for one group of a normalisation",
        ),
        (
            "mid_block_type",
            json!("MidBlock"),
            "mid_block_type: found \"MidBlock\", expected UNetMidBlock2DCrossAttn or ",
        ),
        ("down_block_types", json!(["DownBlock2D"]), "down_block_types: found 1 entries, expected 2 entries, "),
        ("attention_head_dim", json!([2]), "attention_head_dim: found 1 entries, expected 2 entries, "),
        ("only_cross_attention", json!([true]), "only_cross_attention: found 1 entries, expected 2 entries, "),
        (
            "attention_head_dim",
            json!(3),
            "attention_head_dim: found 3, expected a divisor of the 8 channels of CrossAttn",
        ),
        ("attention_head_dim", json!(0), "attention_head_dim: found 0, expected 1 to 65536"),
        ("transformer_layers_per_block", json!(65), "transformer_layers_per_block: found 65, expected 1 to 64"),
        ("num_attention_heads", json!(2), "num_attention_heads: found 2, expected null"),
        ("dual_cross_attention", json!(true), "dual_cross_attention: found true, expected false"),
        ("class_embed_type", json!("timestep"), "class_embed_type: found \"timestep\", expected null"),
        ("num_class_embeds", json!(10), "num_class_embeds: found 10, expected null"),
        ("addition_embed_type", json!("text"), "addition_embed_type: found \"text\", expected null"),
        ("act_fn", json!("tanh"), "act_fn: found \"tanh\", expected silu or swish or "),
        ("timestep_post_act", json!("tanh"), "timestep_post_act: found \"tanh\", expected silu or swish or "),
        ("time_embedding_act_fn", json!("tanh"), "time_embedding_act_fn: found \"tanh\", expected silu or swish or "),
        (
            "time_embedding_type",
            json!("learned"),
            "time_embedding_type: found \"learned\", expected positional or fourier",
        ),
        (
            "cross_attention_norm",
            json!("rms"),
            "cross_attention_norm: found \"rms\", expected layer_norm or group_norm",
        ),
        ("norm_num_groups", json!(null), "norm_num_groups: found null, expected a number, for DownBlock2D"),
        ("attention_type", json!("gated"), "attention_type: found \"gated\", expected default"),
        ("encoder_hid_dim_type", json!("image_proj"), "encoder_hid_dim_type: found \"image_proj\", expected text_proj"),
        ("encoder_hid_dim_type", json!("text_proj"), "encoder_hid_dim: found null, expected the width"),
        ("conv_in_kernel", json!(4), "conv_in_kernel: found 4, expected an odd number below 64"),
        ("dropout", json!(0.1), "dropout: found 0.1, expected 0"),
        ("norm_num_groups", json!(3), "block_out_channels: found 4, expected multiples of norm_num_groups, 3"),
        ("sample_size", json!(1), "sample_size: found 1×1, expected at least 2, for 2 resolutions"),
        (
            "resnet_out_scale_factor",
            json!(0),
            "resnet_out_scale_factor: found 0, expected a finite number other than 0",
        ),
    ];
    for (field, value, expected) in refused {
        let found = refusal(field, value);
        assert!(found.starts_with(expected), "{found}");
    }
    for field in ["layers_per_block", "transformer_layers_per_block"] {
        let nested = refusal(field, json!([[1, 2], 1]));
        let expected = "found [[1,2],1], expected one value, or a list of one for each of block_out_channels";
        assert!(nested.starts_with(expected), "{nested}");
    }
}

/// `attention_head_dim` counts the heads of transformers, but measures those of the other attentions.
#[test]
fn heads_are_counted_where_diffusers_counts_them() {
    let heads = |attention: &BlockAttention| match attention {
        BlockAttention::Own(attention) => attention.heads,
        BlockAttention::Added(attention) => attention.heads,
        BlockAttention::Transformer(transformer) => transformer.transformer_blocks[0].attn2.heads,
    };
    let down_heads = |block: &DownBlock| match block {
        DownBlock::Plain(block) => heads(&block.attentions[0]),
        DownBlock::K(block) => block.attentions[0].attn2.heads,
        DownBlock::Skip(block) => heads(&block.attentions[0]),
    };
    let up_heads = |block: &UpBlock| match block {
        UpBlock::Plain(block) => heads(&block.attentions[0]),
        UpBlock::K(block) => block.attentions[0].attn2.heads,
        UpBlock::Skip(block) => heads(&block.attentions[0]),
    };
    let config = config(&json!({
        "block_out_channels": [32, 64, 128],
        "down_block_types": ["CrossAttnDownBlock2D", "AttnDownBlock2D", "SimpleCrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "SimpleCrossAttnUpBlock2D", "AttnUpBlock2D"],
        "attention_head_dim": [2, 4, 8],
        "norm_num_groups": 8,
    }));
    assert_eq!(config.validate(), Ok(()));
    let unet = config.build(&Device::flex());
    let down: Vec<_> = unet.down_blocks.iter().map(down_heads).collect();
    assert_eq!(down, [2, 64 / 4, 128 / 8]);
    assert_eq!(heads(&unet.mid_block.attentions[0]), 8);
    // The last is 32 channels in heads of the third's width.
    let up: Vec<_> = unet.up_blocks.iter().map(up_heads).collect();
    assert_eq!(up, [8, 64 / 4, 32 / 8]);
}

#[test]
fn encodings_have_one_width() {
    let config = |widths: [usize; 3], hidden: Option<usize>| {
        config(&json!({
            "block_out_channels": [32, 32, 32],
            "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
            "cross_attention_dim": widths,
            "encoder_hid_dim": hidden,
        }))
    };
    assert_eq!(config([5, 6, 6], None).condition_width(), 6);
    assert_eq!(config([5, 6, 6], None).validate(), Ok(()));
    let field = |widths, hidden| config(widths, hidden).validate().expect_err("another width").field;
    assert_eq!(field([6, 6, 5], None), "cross_attention_dim");
    assert_eq!(field([6, 6, 6], Some(9)), "cross_attention_dim");
    let projected = UNet2DConditionConfig { cross_attention_dim: PerLevel::One(6), ..config([6; 3], Some(9)) };
    assert_eq!((projected.validate(), projected.condition_width()), (Ok(()), 9));
}

/// Which blocks can follow which is what diffusers finds out when it runs them: of these pairs of networks, that it builds
/// all, the first runs and the second does not.
#[test]
fn blocks_that_do_not_fit_each_other_are_refused() {
    let config = |[down, up]: [[&str; 2]; 2], channels: [usize; 2]| {
        config(&json!({
            "down_block_types": down,
            "up_block_types": up,
            "mid_block_type": null,
            "block_out_channels": channels,
            "time_embedding_dim": 64,
            "attention_head_dim": 8,
            "cross_attention_dim": 8,
        }))
    };
    let [plain, k, k_cross] = ["DownBlock2D", "KDownBlock2D", "KCrossAttnDownBlock2D"];
    let [plain_up, k_up, k_cross_up] = ["UpBlock2D", "KUpBlock2D", "KCrossAttnUpBlock2D"];
    let pairs = [
        ([[plain, k], [plain_up, plain_up]], [[plain, k], [plain_up, k_up]], [32, 64]),
        ([[k, plain], [k_up, k_cross_up]], [[k, plain], [plain_up, k_up]], [32, 64]),
        ([[k_cross, k], [k_cross_up, k_up]], [[k_cross, k_cross], [k_cross_up, k_up]], [32, 64]),
        ([[plain, k], [plain_up, k_up]], [[plain, k], [k_up, k_up]], [32, 32]),
        ([[k_cross, k], [k_up, plain_up]], [[k_cross, k_cross], [k_up, plain_up]], [64, 64]),
        ([[k_cross, k_cross], [k_cross_up, plain_up]], [[k_cross, k], [k_cross_up, plain_up]], [64, 64]),
    ];
    for (runs, fails, channels) in pairs {
        assert_eq!(config(runs, channels).validate(), Ok(()), "{runs:?}");
        let error = config(fails, channels).validate().expect_err("blocks that do not fit");
        assert_eq!(error.field, "up_block_types", "{fails:?}");
    }
}

/// A K block mirrors the edge of its state, of which there must be two pixels.
#[test]
fn k_blocks_need_two_pixels() {
    let config = config(&json!({
        "down_block_types": ["KDownBlock2D", "KDownBlock2D"],
        "up_block_types": ["KUpBlock2D", "KUpBlock2D"],
        "block_out_channels": [32, 32],
    }));
    assert_eq!(config.check_size([4, 6]), Ok(()));
    for size in [[2, 4], [4, 5]] {
        let error = config.check_size(size).expect_err("too small").to_string();
        assert!(error.contains("multiples of 2 from 4 on, for 2 resolutions"), "{error}");
    }
}
