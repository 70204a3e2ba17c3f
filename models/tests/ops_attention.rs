//! Attention against a product, a softmax and a product in double precision: values, gradients, masks, batches, threads.
#![allow(clippy::unwrap_used)]

mod common;

use burn::tensor::{DType, Device, Tensor, TensorData};
use common::{assert_close, normal, on_threads, values};
use nocturne_models::ops::{AttentionOptions, attention};
use nocturne_models::random::Random;

#[derive(Clone, Copy, Debug, Default)]
struct Case {
    heads: usize,
    batch: usize,
    queries: usize,
    keys: usize,
    channels: usize,
    causal: bool,
    /// Items and heads of a bias.
    bias: Option<[usize; 2]>,
    scale: Option<f64>,
}

impl Case {
    /// Self-attention.
    const fn new(heads: usize, [batch, positions, channels]: [usize; 3]) -> Self {
        Self { heads, batch, queries: positions, keys: positions, channels, causal: false, bias: None, scale: None }
    }

    const fn keys(self, keys: usize) -> Self {
        Self { keys, ..self }
    }

    const fn causal(self) -> Self {
        Self { causal: true, ..self }
    }

    const fn bias(self, items: usize, heads: usize) -> Self {
        Self { bias: Some([items, heads]), ..self }
    }

    const fn scale(self, scale: f64) -> Self {
        Self { scale: Some(scale), ..self }
    }

    /// Queries, keys and values, of scores of several units, so that the softmax is not flat, and the bias.
    fn inputs(&self, device: &Device) -> ([Tensor<3>; 3], Option<Tensor<4>>) {
        let [query, key] = [("query", self.queries), ("key", self.keys)]
            .map(|(name, positions)| normal([self.batch, positions, self.channels], name, device) * 2.0);
        let value = normal([self.batch, self.keys, self.channels], "value", device);
        let bias =
            self.bias.map(|[items, heads]| normal([items, heads, self.queries, self.keys], "bias", device) * 2.0);
        ([query, key, value], bias)
    }

    fn options(&self, bias: Option<Tensor<4>>) -> AttentionOptions {
        AttentionOptions { scale: self.scale, bias, causal: self.causal }
    }
}

const CASES: [Case; 20] = [
    Case::new(1, [2, 1, 3]).keys(5),
    Case::new(2, [3, 5, 6]),
    Case::new(1, [2, 64, 32]),
    Case::new(12, [2, 256, 96]),
    // Several tiles, blocks and shares of keys, the last ones shorter.
    Case::new(3, [2, 611, 24]),
    Case::new(2, [1, 1025, 128]),
    Case::new(1, [1, 70, 200]),
    // Cross attention.
    Case::new(4, [2, 100, 64]).keys(7),
    Case::new(4, [2, 7, 64]).keys(301).scale(0.4),
    Case::new(5, [1, 1, 35]).keys(130),
    // Few queries.
    Case::new(2, [2, 4, 38]).keys(77).bias(2, 1),
    Case::new(2, [2, 3, 64]).keys(40).causal(),
    // Causal, with earlier keys, and with queries before the first key.
    Case::new(2, [2, 67, 32]).causal(),
    Case::new(2, [1, 40, 32]).keys(645).causal(),
    Case::new(2, [1, 600, 16]).keys(533).causal(),
    // Biases of each shape.
    Case::new(3, [2, 37, 24]).keys(29).bias(1, 1),
    Case::new(3, [2, 37, 24]).keys(530).bias(1, 3),
    Case::new(3, [2, 129, 24]).keys(13).bias(2, 1),
    Case::new(3, [2, 37, 24]).keys(30).bias(2, 3).scale(1.0),
    Case::new(3, [2, 50, 48]).keys(61).bias(1, 3).causal(),
];

/// The same in double precision, with zeros for queries that see nothing.
fn plain(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, heads: usize, options: AttentionOptions) -> Tensor<3> {
    let shape @ [_, queries, channels] = query.dims();
    let (width, device) = (channels / heads, query.device());
    let split = |tensor: Tensor<3>| {
        let [batch, positions, _] = tensor.dims();
        tensor.cast(DType::F64).reshape([batch, positions, heads, width]).swap_dims(1, 2)
    };
    let scale = options.scale.unwrap_or(1.0 / (width as f64).sqrt());
    let keys = key.dims()[1];
    let mut scores = split(query).matmul(split(key).swap_dims(2, 3)) * scale;
    if let Some(bias) = options.bias {
        scores = scores + bias.cast(DType::F64);
    }
    if options.causal {
        let hidden = |(query, key): (usize, usize)| if key + queries > query + keys { f64::NEG_INFINITY } else { 0.0 };
        let mask: Vec<f64> = (0..queries * keys).map(|index| hidden((index / keys, index % keys))).collect();
        let mask = TensorData::new(mask, [1, 1, queries, keys]);
        scores = scores + Tensor::from_data(mask, (&device, DType::F64));
    }
    let highest = scores.clone().max_dim(3).detach().clamp_min(f64::from(f32::MIN));
    let weights = (scores - highest).exp();
    // A softmax's denominator is at least 1.
    let total = weights.clone().sum_dim(3).clamp_min(0.5);
    (weights / total).matmul(split(value)).swap_dims(1, 2).reshape(shape).cast(DType::F32)
}

/// Output, then the gradients of queries, keys, values and bias.
fn everything(
    case: &Case,
    inputs: ([Tensor<3>; 3], Option<Tensor<4>>),
    forward: impl Fn(Tensor<3>, Tensor<3>, Tensor<3>, usize, AttentionOptions) -> Tensor<3>,
) -> Vec<Vec<f32>> {
    let inputs = (inputs.0.map(Tensor::require_grad), inputs.1.map(Tensor::require_grad));
    let ([query, key, value], bias) = inputs.clone();
    let output = forward(query, key, value, case.heads, case.options(bias));
    let weights = normal(output.dims(), "gradient", &output.device());
    let gradients = (output.clone() * weights).sum().backward();
    let mut found = vec![values(output)];
    found.extend(inputs.0.map(|input| values(input.grad(&gradients).unwrap())));
    found.extend(inputs.1.map(|bias| values(bias.grad(&gradients).unwrap())));
    found
}

fn ours(case: &Case) -> Vec<Vec<f32>> {
    everything(case, case.inputs(&Device::flex().autodiff()), attention)
}

fn assert_same(case: &Case, found: &[Vec<f32>], expected: &[Vec<f32>], tolerance: f64) {
    let names = ["output", "query", "key", "value", "bias"];
    for (name, (found, expected)) in names.into_iter().zip(found.iter().zip(expected)) {
        assert_close(found, expected, tolerance, &format!("{case:?}, {name}"));
    }
}

#[test]
fn values_and_gradients_are_those_of_the_plain_form() {
    for case in &CASES {
        let inputs = case.inputs(&Device::flex().autodiff());
        assert_same(case, &ours(case), &everything(case, inputs, plain), 5e-6);
    }
}

#[test]
fn values_and_gradients_are_those_of_the_plain_form_for_any_shape() {
    let mut random = Random::new(3, "shapes", 0);
    let mut below = |limit: usize| (random.uniform() * limit as f64) as usize;
    for _ in 0..60 {
        let (heads, batch) = (1 + below(4), 1 + below(3));
        let case = Case {
            heads,
            batch,
            queries: 1 + below(80),
            // Two, so that no softmax is one whatever the scores, and its gradient rounding alone.
            keys: 2 + below(300),
            channels: heads * (1 + below(40)),
            causal: below(2) == 0,
            bias: [None, Some([1, 1]), Some([batch, 1]), Some([1, heads]), Some([batch, heads])][below(5)],
            scale: [None, Some(0.3)][below(2)],
        };
        let inputs = case.inputs(&Device::flex().autodiff());
        assert_same(&case, &ours(&case), &everything(&case, inputs, plain), 5e-6);
    }
}

#[test]
fn without_gradients_values_are_the_same() {
    for case in &CASES {
        let ([query, key, value], bias) = case.inputs(&Device::flex());
        assert_eq!(values(attention(query, key, value, case.heads, case.options(bias))), ours(case)[0]);
    }
}

#[test]
fn other_types_take_the_plain_form_with_the_same_meaning() {
    for case in &CASES {
        let ([query, key, value], bias) = case.inputs(&Device::flex());
        let [query, key, value] = [query, key, value].map(|input| input.cast(DType::F64));
        let bias = bias.map(|bias| bias.cast(DType::F64));
        let output = attention(query, key, value, case.heads, case.options(bias)).cast(DType::F32);
        assert_close(&values(output), &ours(case)[0], 2e-6, &format!("{case:?}"));
    }
}

#[test]
fn one_visible_key_has_all_the_weight_and_no_slope() {
    let case = Case::new(2, [3, 40, 10]).keys(1);
    let found = ours(&case);
    let ([_, _, value], _) = case.inputs(&Device::flex());
    assert_eq!(found[0], values(value.repeat_dim(1, 40)));
    assert!(found[1].iter().chain(&found[2]).all(|gradient| gradient.abs() < 1e-5), "{found:?}");
}

/// A bias of 0, and of `hidden` where `hides` of query and key.
fn mask([queries, keys]: [usize; 2], hidden: f32, hides: impl Fn(usize, usize) -> bool) -> Tensor<4> {
    let values: Vec<f32> =
        (0..queries * keys).map(|index| if hides(index / keys, index % keys) { hidden } else { 0.0 }).collect();
    Tensor::from_data(TensorData::new(values, [1, 1, queries, keys]), &Device::flex().autodiff())
}

#[test]
fn causal_is_a_mask_that_ends_with_the_last_key() {
    for (queries, keys) in [(3, 3), (4, 20), (50, 50), (33, 290), (70, 41)] {
        let case = Case::new(2, [2, queries, 16]).keys(keys);
        let (inputs, _) = case.inputs(&Device::flex().autodiff());
        let mask = mask([queries, keys], f32::NEG_INFINITY, |query, key| key + queries > query + keys);
        let masked = everything(&case, (inputs, Some(mask)), attention);
        assert_same(&case, &ours(&case.causal()), &masked[..4], 1e-6);
    }
}

#[test]
fn hidden_keys_are_as_good_as_absent() {
    for queries in [2, 37] {
        let case = Case::new(2, [2, queries, 24]).keys(150);
        let ([query, key, value], _) = case.inputs(&Device::flex().autodiff());
        // Whole blocks at both ends, and the most negative number as well as −∞.
        for (hidden, kept) in [(f32::NEG_INFINITY, 0..20), (f32::MIN, 130..150), (f32::NEG_INFINITY, 129..150)] {
            let mask = mask([queries, 150], hidden, |_, key| !kept.contains(&key));
            let inputs = [query.clone(), key.clone(), value.clone()];
            let masked = everything(&case, (inputs, Some(mask)), attention);
            let part = |tensor: &Tensor<3>| tensor.clone().narrow(1, kept.start, kept.len());
            let inputs = [query.clone(), part(&key), part(&value)];
            let absent = everything(&Case { keys: kept.len(), ..case }, (inputs, None), attention);
            assert_same(&case, &masked[..2], &absent[..2], 1e-6);
            for (which, name) in [(2, "key"), (3, "value")] {
                let gradient = Tensor::<1>::from_floats(masked[which].as_slice(), &Device::flex());
                let gradient: Tensor<3> = gradient.reshape([2, 150, 24]);
                assert_close(&values(gradient.clone().narrow(1, kept.start, kept.len())), &absent[which], 1e-6, name);
                let total: f32 = absent[which].iter().map(|value| value.abs()).sum();
                assert!((gradient.abs().sum().into_scalar::<f32>() - total).abs() < 1e-4 * total, "{name}");
            }
        }
    }
}

#[test]
fn queries_that_see_nothing_give_zeros() {
    for queries in [3, 40] {
        let case = Case::new(2, [2, queries, 16]).keys(200);
        let (inputs, _) = case.inputs(&Device::flex().autodiff());
        let mask = mask([queries, 200], f32::NEG_INFINITY, |query, _| query % 3 == 0);
        let inputs = (inputs, Some(mask));
        let found = everything(&case, inputs.clone(), attention);
        assert_same(&case, &found, &everything(&case, inputs, plain), 2e-6);
        for values in [&found[0], &found[1]] {
            for (row, values) in values.chunks(16).enumerate() {
                assert_eq!(values.iter().all(|value| *value == 0.0), row % queries % 3 == 0);
            }
        }
        assert!(found.iter().flatten().all(|value| value.is_finite()));
    }
}

#[test]
fn generating_with_kept_keys_gives_the_rows_of_the_whole() {
    let (case, steps) = (Case::new(3, [2, 140, 60]).causal(), [1, 1, 3, 9, 50, 1, 75]);
    let ([query, key, value], _) = case.inputs(&Device::flex());
    let mut end = 0;
    let parts = steps.map(|step| {
        end += step;
        let [key, value] = [&key, &value].map(|kept| kept.clone().narrow(1, 0, end));
        attention(query.clone().narrow(1, end - step, step), key, value, 3, case.options(None))
    });
    let whole = attention(query.clone(), key.clone(), value.clone(), 3, case.options(None));
    assert_close(&values(Tensor::cat(parts.to_vec(), 1)), &values(whole), 1e-6, "generated");
}

#[test]
fn large_scores_do_not_overflow() {
    for (case, factor) in [(Case::new(2, [1, 40, 8]), 1e3), (Case::new(2, [1, 3, 8]).keys(300), 1e6)] {
        let ([query, key, value], _) = case.inputs(&Device::flex().autodiff());
        let inputs = ([query * factor, key * factor, value], None);
        let found = everything(&case, inputs.clone(), attention);
        assert!(found.iter().flatten().all(|value| value.is_finite()), "{case:?}");
        // One key has all the weight.
        assert_close(&found[0], &everything(&case, inputs, plain)[0], 1e-6, "output");
    }
}

#[test]
fn what_is_not_a_number_is_not_hidden() {
    for queries in [2, 40] {
        let case = Case::new(1, [1, queries, 8]).keys(30);
        let ([query, key, value], _) = case.inputs(&Device::flex());
        let key = key.clone().slice_assign([0..1, 11..12, 3..4], key.slice([0..1, 11..12, 3..4]) * f32::NAN);
        assert!(values(attention(query, key, value, 1, case.options(None))).iter().all(|value| value.is_nan()));
    }
}

#[test]
fn items_of_a_batch_do_not_depend_on_each_other() {
    for case in &CASES {
        let (inputs, bias) = case.inputs(&Device::flex());
        let [query, key, value] = inputs.clone();
        let together = attention(query, key, value, case.heads, case.options(bias.clone()));
        let alone = (0..case.batch)
            .map(|item| {
                let [query, key, value] = inputs.clone().map(|input| input.narrow(0, item, 1));
                let bias = bias.clone().map(|bias| bias.clone().narrow(0, item.min(bias.dims()[0] - 1), 1));
                attention(query, key, value, case.heads, case.options(bias))
            })
            .collect();
        assert_eq!(values(together), values(Tensor::cat(alone, 0)));
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for case in &CASES {
        assert_eq!(on_threads(1, || ours(case)), on_threads(3, || ours(case)));
    }
}

#[test]
#[should_panic(expected = "a bias of [3, 2, 5, 7] for scores of [1, 2, 5, 7]")]
fn a_bias_of_another_batch_is_refused() {
    let case = Case::new(2, [1, 5, 8]).keys(7).bias(3, 2);
    let ([query, key, value], bias) = case.inputs(&Device::flex());
    attention(query, key, value, 2, case.options(bias));
}
