//! The gradients of a whole attention, put together from those of its heads.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::backward::Share;
use super::panels::Scratch;
use super::scores::BLOCK;
use super::shape::{Bias, Shape, Softmax, merge};

/// What the forward step took and gave, and the gradient of what it gave.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub gradient: &'a [f32],
    pub output: &'a [f32],
    pub query: &'a [f32],
    pub key: &'a [f32],
    pub value: &'a [f32],
    pub bias: Option<Bias<'a>>,
    /// `[batch, head, query]`
    pub softmax: &'a [Softmax],
}

/// Gradients in the shapes of what they are of.
pub(super) struct Gradients {
    pub query: Vec<f32>,
    pub key: Vec<f32>,
    pub value: Vec<f32>,
    /// Empty unless asked for.
    pub bias: Vec<f32>,
}

/// What a task writes for one head, counted over the batch: see [`Share`].
struct Member<'a> {
    head: usize,
    of_query: &'a mut [f32],
    of_key: &'a mut [f32],
    of_value: &'a mut [f32],
}

/// A task is a range of keys of one head, or of all heads that use the same bias if its gradient is asked for: they
/// are then added up one after another.
pub(super) fn backward(shape: &Shape, given: &Given, with_bias: bool) -> Gradients {
    let Shape { batch, queries, keys, heads, width, .. } = *shape;
    let bias_index = |head: usize| given.bias.map_or(0, |bias| bias.index(head / heads, head % heads));
    let ranges = ranges(keys);
    let size = ranges[0].len();
    let groups = if with_bias { bias_index(batch * heads - 1) + 1 } else { batch * heads };

    let mut of_query = vec![vec![0.0; batch * heads * queries * width]; ranges.len()];
    let [mut of_key, mut of_value] = [(); 2].map(|()| vec![0.0; batch * heads * keys * width]);
    let mut tasks: Vec<Vec<Member>> = (0..groups * ranges.len()).map(|_| vec![]).collect();
    let of_heads = of_key.chunks_exact_mut(keys * width).zip(of_value.chunks_exact_mut(keys * width));
    let mut parts: Vec<_> = of_query.iter_mut().map(|part| part.chunks_exact_mut(queries * width)).collect();
    for (head, (of_key, of_value)) in of_heads.enumerate() {
        let group = if with_bias { bias_index(head) } else { head };
        let tasks = &mut tasks[group * ranges.len()..][..ranges.len()];
        let of_ranges = of_key.chunks_mut(size * width).zip(of_value.chunks_mut(size * width));
        for ((task, part), (of_key, of_value)) in tasks.iter_mut().zip(&mut parts).zip(of_ranges) {
            task.extend(part.next().map(|of_query| Member { head, of_query, of_key, of_value }));
        }
    }

    let of_bias: Vec<Vec<f32>> = tasks
        .into_par_iter()
        .enumerate()
        .map_init(Scratch::default, |scratch, (task, members)| {
            let range = &ranges[task % ranges.len()];
            let mut of_bias = vec![0.0; if with_bias { queries * range.len() } else { 0 }];
            for Member { head, of_query, of_key, of_value } in members {
                Arch::new().dispatch(Share {
                    shape,
                    keys: range.clone(),
                    gradient: shape.rows(given.gradient, head),
                    output: shape.rows(given.output, head),
                    query: shape.rows(given.query, head),
                    key: shape.rows(given.key, head),
                    value: shape.rows(given.value, head),
                    bias: given.bias.map(|bias| bias.matrix(bias_index(head))),
                    softmax: &given.softmax[head * queries..][..queries],
                    of_query,
                    of_key,
                    of_value,
                    of_bias: with_bias.then_some(&mut of_bias),
                    scratch,
                });
            }
            of_bias
        })
        .collect();

    let mut bias = vec![0.0; if with_bias { groups * queries * keys } else { 0 }];
    bias.par_chunks_exact_mut(queries * keys).zip(of_bias.par_chunks_exact(ranges.len())).for_each(|(bias, parts)| {
        for (query, line) in bias.chunks_exact_mut(keys).enumerate() {
            for (target, part) in line.chunks_mut(size).zip(parts) {
                target.copy_from_slice(&part[query * target.len()..][..target.len()]);
            }
        }
    });
    let parts: Vec<_> = of_query.iter().map(Vec::as_slice).collect();
    Gradients {
        query: merge(shape, queries, &parts),
        key: merge(shape, keys, &[&of_key]),
        value: merge(shape, keys, &[&of_value]),
        bias,
    }
}

/// Cuts the keys into parts whose rearranged copies and gradients fit a second-level cache, but into no more than four:
/// each needs a gradient of all queries.
fn ranges(keys: usize) -> Vec<Range<usize>> {
    const CACHED: usize = 4 * BLOCK;
    let size = keys.div_ceil(4).next_multiple_of(BLOCK).max(CACHED);
    (0..keys).step_by(size).map(|start| start..keys.min(start + size)).collect()
}
