//! The recurrence of an LSTM against its plain form; `EnCodec`'s own tests hold it to PyTorch's.
#![allow(clippy::unwrap_used)]

mod common;

use burn::tensor::{Device, Tensor};
use common::{assert_close, normal, on_threads, values};
use nocturne_models::ops::{LstmState, lstm};

struct Case {
    gates: Tensor<3>,
    weight: Tensor<2>,
    state: LstmState,
}

fn case(steps: usize, batch: usize, units: usize, device: &Device) -> Case {
    let state = |name| normal([batch, units], name, device);
    Case {
        gates: normal([steps, batch, 4 * units], "gates", device),
        weight: normal([4 * units, units], "weight", device) / (units as f64).sqrt(),
        state: LstmState { hidden: state("hidden"), cell: state("cell") },
    }
}

fn run(case: &Case) -> [Vec<f32>; 3] {
    let (outputs, LstmState { hidden, cell }) = lstm(case.gates.clone(), case.weight.clone(), case.state.clone());
    [values(outputs.without_autodiff()), values(hidden.without_autodiff()), values(cell.without_autodiff())]
}

#[test]
fn the_plain_form_is_the_same() {
    for (steps, batch, units) in [(1, 1, 1), (5, 1, 16), (7, 3, 19), (4, 9, 40), (3, 2, 160), (0, 2, 4)] {
        let found = run(&case(steps, batch, units, &Device::flex()));
        let plain = run(&case(steps, batch, units, &Device::flex().autodiff()));
        for (found, plain) in found.iter().zip(&plain) {
            assert_close(found, plain, 1e-6, &format!("{steps} steps, {batch} items, {units} units"));
        }
    }
}

#[test]
fn the_plain_form_has_gradients() {
    let Case { gates, weight, state } = case(3, 2, 4, &Device::flex().autodiff());
    let weight = weight.require_grad();
    let gradients = lstm(gates, weight.clone(), state).0.sum().backward();
    assert!(values(weight.grad(&gradients).unwrap().without_autodiff()).iter().any(|value| value.abs() > 1e-3));
}

#[test]
fn steps_go_on_where_others_ended() {
    let Case { gates, weight, state } = case(9, 2, 33, &Device::flex());
    let (whole, last) = lstm(gates.clone(), weight.clone(), state.clone());
    let (first, between) = lstm(gates.clone().narrow(0, 0, 4), weight.clone(), state);
    let (second, end) = lstm(gates.narrow(0, 4, 5), weight, between);
    assert_eq!(values(Tensor::cat(vec![first, second], 0)), values(whole));
    assert_eq!([values(end.hidden), values(end.cell)], [values(last.hidden), values(last.cell)]);
}

#[test]
fn an_item_is_the_same_alone_in_company_and_on_any_number_of_threads() {
    let Case { gates, weight, state } = case(6, 7, 144, &Device::flex());
    let together = on_threads(3, || values(lstm(gates.clone(), weight.clone(), state.clone()).0));
    for item in 0..7 {
        let of_item = |tensor: &Tensor<2>| tensor.clone().narrow(0, item, 1);
        let state = LstmState { hidden: of_item(&state.hidden), cell: of_item(&state.cell) };
        let gates = gates.clone().narrow(1, item, 1);
        let alone = on_threads(1, || values(lstm(gates, weight.clone(), state).0));
        let expected: Vec<f32> = together.chunks(144).skip(item).step_by(7).flatten().copied().collect();
        assert_eq!(alone, expected);
    }
}
