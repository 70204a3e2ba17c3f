use std::f64::consts::PI;

use burn::tensor::{Device, Tensor, TensorData};
use nocturne_models::network::{ConfigError, check};

use super::filters::Filters;
use super::low_pass::{TAPS, low_pass};

/// The lowest bin: C1, in Hz.
const LOWEST: f64 = 32.70;
/// Zero crossings on each side of the filter that doubles the rate, and the share of the band that it passes.
const CROSSINGS: usize = 6;
const ROLL_OFF: f64 = 0.99;
/// Transition of the filter that halves the rate, and of the one that lowers it at the beginning.
const HALVING_TRANSITION: f64 = 0.001;
const EARLY_TRANSITION: f64 = 0.03;
/// Of a Hann window, in bins.
const WINDOW_BANDWIDTH: f64 = 1.5;
/// The longest filter.
const MOST_TAPS: f64 = 65536.0;

/// The sizes of a constant-Q transform.
#[derive(Clone, Copy, Debug)]
struct Plan {
    octaves: usize,
    bins: usize,
    /// Of the signal that the top octave is measured in, in Hz, and the samples between its frames.
    rate: f64,
    hop: usize,
    /// By how much the rate is lowered before anything else.
    early: usize,
}

/// The constant-Q transform of a waveform at twice its rate: complex, octave by octave, in the numerics of nnAudio's
/// `CQT2010v2` (Schörkhuber and Klapuri, "Constant-Q Transform Toolbox for Music Processing", 2010), whose state `mrd` of the
/// published checkpoints holds.
///
/// The filters of one octave measure the top one; for each octave below, the signal's rate and the hop are halved.
#[derive(Clone, Debug)]
pub struct ConstantQ {
    doubling: Filters,
    early: Option<Filters>,
    halving: Filters,
    /// One an octave, the top first.
    octaves: Vec<Filters>,
    /// Of each bin, the top octave first: `[1, 1, 1, bin]`.
    scales: Vec<Tensor<4>>,
    bins: usize,
}

impl ConstantQ {
    /// Checks what [`ConstantQ::new`] is given.
    ///
    /// # Errors
    ///
    /// The field of `config.json` that does not fit.
    pub fn check(rate: u32, hop: usize, octaves: usize, bins: usize) -> Result<(), ConfigError> {
        check("cqtd_n_octaves", (1..=16).contains(&octaves), octaves, "1 to 16")?;
        check("cqtd_bins_per_octaves", (2..=256).contains(&bins), bins, "2 to 256")?;
        let least = 1 << (octaves - 1);
        let fits = hop.is_power_of_two() && (least..=1 << 16).contains(&hop);
        check("cqtd_hop_lengths", fits, hop, format!("a power of two from {least}, for {octaves} octaves, to 65536"))?;
        let highest = frequency(octaves * bins - 1, bins);
        let expected = format!("octaves that end below {rate} Hz");
        check("cqtd_n_octaves", highest <= f64::from(rate), format_args!("{octaves}, to {highest:.0} Hz"), expected)?;
        let taps = Plan::new(rate, hop, octaves, bins).taps();
        let expected = format!("filters of at most {MOST_TAPS} samples");
        check("cqtd_bins_per_octaves", taps as f64 <= MOST_TAPS, format_args!("{bins}: {taps} samples"), expected)
    }

    /// The transform of signals of `rate` Hz, `bins` an octave, a frame every `hop` samples of twice the rate.
    pub fn new(rate: u32, hop: usize, octaves: usize, bins: usize, device: &Device) -> Self {
        let plan = Plan::new(rate, hop, octaves, bins);
        let half = plan.taps() / 2;
        let top = Filters::new(plan.filters(), 2 * bins, 1, [half, half], device);
        let padding = [(TAPS - 1) / 2; 2];
        let lowering =
            |by: usize, transition| Filters::new(low_pass(1.0 / by as f64, transition), 1, by, padding, device);
        let scale = |octave: usize| {
            let bins: Vec<f32> =
                (0..plan.bins).map(|bin| plan.scale((octaves - 1 - octave) * plan.bins + bin)).collect();
            Tensor::from_data(TensorData::new(bins, [1, 1, 1, plan.bins]), device)
        };
        Self {
            doubling: doubling(device),
            early: (plan.early > 1).then(|| lowering(plan.early, EARLY_TRANSITION)),
            halving: lowering(2, HALVING_TRANSITION),
            octaves: (0..octaves).map(|octave| top.with_stride(plan.hop >> octave)).collect(),
            scales: (0..octaves).map(scale).collect(),
            bins,
        }
    }

    /// The octaves, the lowest first; real and imaginary parts are channels.
    ///
    /// # Shapes
    ///
    /// `[batch, 1, sample]` → an octave `[batch, 2, 1 + 2 · sample / hop, bin]`
    pub fn octaves(&self, wave: Tensor<3>) -> Vec<Tensor<4>> {
        let mut signal = self.doubled(wave);
        if let Some(early) = &self.early {
            signal = early.apply(signal);
        }
        let mut found = Vec::with_capacity(self.octaves.len());
        for (index, (filters, scale)) in self.octaves.iter().zip(&self.scales).enumerate() {
            if index > 0 {
                signal = self.halving.apply(signal);
            }
            let octave = filters.apply(signal.clone());
            let [batch, _, frames] = octave.dims();
            found.push(octave.reshape([batch, 2, self.bins, frames]).swap_dims(2, 3) * scale.clone());
        }
        found.reverse();
        found
    }

    /// # Shapes
    ///
    /// `[batch, 1, sample]` → `[batch, 1, 2 · sample]`
    fn doubled(&self, wave: Tensor<3>) -> Tensor<3> {
        let [batch, _, length] = wave.dims();
        let pairs = self.doubling.apply(wave).swap_dims(1, 2);
        pairs.reshape([batch, 1, 2 * (length + 1)]).narrow(2, 0, 2 * length)
    }
}

/// A sinc under a squared cosine at the samples and half-way between them, as torchaudio's `Resample` has it.
fn doubling(device: &Device) -> Filters {
    let reach = (CROSSINGS as f64 / ROLL_OFF).ceil() as i32;
    let taps = [0.0, 0.5].into_iter().flat_map(|shift| {
        (-reach..=reach).map(move |index| {
            let most = CROSSINGS as f64;
            let time = ((f64::from(index) - shift) * ROLL_OFF).clamp(-most, most);
            let window = libm::cos(time * PI / most / 2.0);
            let sinc = if time == 0.0 { 1.0 } else { libm::sin(time * PI) / (time * PI) };
            (sinc * window * window * ROLL_OFF) as f32
        })
    });
    Filters::new(taps.collect(), 2, 1, [reach as usize, reach as usize + 1], device)
}

/// Of bin `bin` in Hz, counted from the lowest.
fn frequency(bin: usize, bins: usize) -> f64 {
    LOWEST * libm::exp2(bin as f64 / bins as f64)
}

impl Plan {
    fn new(rate: u32, hop: usize, octaves: usize, bins: usize) -> Self {
        let rate = 2.0 * f64::from(rate);
        let highest = frequency(octaves * bins - 1, bins);
        let cutoff = highest * (1.0 + 0.5 * WINDOW_BANDWIDTH / quality(bins));
        // How often the rate may be halved, by the highest frequency, and by the hop, which the octaves halve as well.
        let by_frequency = libm::ceil(libm::log2(0.85 * (rate / 2.0).floor() / cutoff)) as i32 - 2;
        let by_hop = hop.ilog2() as i32 - octaves as i32 + 1;
        let early = 1 << by_frequency.min(by_hop).max(0);
        Self { octaves, bins, rate: rate / early as f64, hop: hop / early, early }
    }

    /// Samples under the window of a bin, at the rate of the top octave.
    fn length(&self, bin: usize) -> f64 {
        (quality(self.bins) * self.rate / frequency(bin, self.bins)).ceil()
    }

    /// The first bin of the top octave.
    fn first(&self) -> usize {
        (self.octaves - 1) * self.bins
    }

    /// Of every filter: the longest window, up to a power of two.
    fn taps(&self) -> usize {
        (self.length(self.first()) as usize).next_power_of_two()
    }

    fn scale(&self, bin: usize) -> f32 {
        (self.length(bin) as f32).sqrt() * self.early as f32
    }

    /// The top octave's: real parts, then imaginary ones of the other sign; centred, the sum of magnitudes 1.
    fn filters(&self) -> Vec<f32> {
        let taps = self.taps();
        let mut filters = vec![0.0; 2 * self.bins * taps];
        let (real, imaginary) = filters.split_at_mut(self.bins * taps);
        let rows = real.chunks_exact_mut(taps).zip(imaginary.chunks_exact_mut(taps));
        for (bin, (real, imaginary)) in rows.enumerate() {
            let bin = self.first() + bin;
            let length = self.length(bin) as usize;
            let step = 2.0 * PI * frequency(bin, self.bins) / self.rate;
            let window = |index: usize| 0.5 - 0.5 * libm::cos(2.0 * PI * index as f64 / length as f64);
            let total: f64 = (0..length).map(window).sum();
            let start = (taps - length) / 2;
            for index in 0..length {
                let phase = (index as f64 - length.div_ceil(2) as f64) * step;
                let value = window(index) / total;
                real[start + index] = (value * libm::cos(phase)) as f32;
                imaginary[start + index] = -(value * libm::sin(phase)) as f32;
            }
        }
        filters
    }
}

/// Frequency over bandwidth.
fn quality(bins: usize) -> f64 {
    1.0 / (libm::exp2(1.0 / bins as f64) - 1.0)
}
