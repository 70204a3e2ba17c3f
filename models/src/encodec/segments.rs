use burn::tensor::{Int, Tensor, TensorData};

/// Added to the loudness that a segment is divided by.
const SILENCE: f64 = 1e-8;

/// Segments that go through the network together.
const TOGETHER: usize = 8;

/// The codes of a stretch of a waveform.
#[derive(Clone, Debug)]
pub struct Segment {
    /// `[batch, codebook, frame]`
    pub codes: Tensor<3, Int>,
    /// What the samples were divided by, where they were: `[batch]`.
    pub scale: Option<Tensor<1>>,
}

/// How waveforms are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// Samples of a segment, and from one to the next; none where a waveform stays whole.
    pub lengths: Option<[usize; 2]>,
    /// Whether a segment is divided by its loudness.
    pub normalize: bool,
}

impl Segments {
    pub(super) fn encode(&self, samples: Tensor<3>, encode: impl Fn(Tensor<3>) -> Tensor<3, Int>) -> Vec<Segment> {
        let [batch, _, whole] = samples.dims();
        let [longest, step] = self.lengths.unwrap_or([whole, whole.max(1)]);
        let spans: Vec<[usize; 2]> =
            (0..whole).step_by(step).map(|start| [start, longest.min(whole - start)]).collect();
        let mut segments = Vec::with_capacity(spans.len());
        // Those of one length go together.
        for spans in spans.chunk_by(|a, b| a[1] == b[1]).flat_map(|spans| spans.chunks(TOGETHER)) {
            let cut = spans.iter().map(|[start, length]| samples.clone().narrow(2, *start, *length)).collect();
            let cut = Tensor::cat(cut, 0);
            let scale = self.normalize.then(|| loudness(cut.clone()));
            let cut = match &scale {
                Some(scale) => cut / scale.clone().reshape([spans.len() * batch, 1, 1]),
                None => cut,
            };
            let codes = encode(cut);
            segments.extend((0..spans.len()).map(|index| Segment {
                codes: codes.clone().narrow(0, index * batch, batch),
                scale: scale.clone().map(|scale| scale.narrow(0, index * batch, batch)),
            }));
        }
        segments
    }

    pub(super) fn decode(&self, segments: &[Segment], decode: impl Fn(Tensor<3, Int>) -> Tensor<3>) -> Tensor<3> {
        let one = |segment: &Segment| {
            let samples = decode(segment.codes.clone());
            match &segment.scale {
                Some(scale) => samples * scale.clone().reshape([scale.dims()[0], 1, 1]),
                None => samples,
            }
        };
        match (self.lengths, segments) {
            (Some([_, step]), _) => faded(&segments.iter().map(one).collect::<Vec<_>>(), step),
            (None, [segment]) => one(segment),
            _ => panic!("{} segments of a waveform that is not cut", segments.len()),
        }
    }
}

/// The root of the mean square of all channels' mean, of each item.
///
/// # Shapes
///
/// `[batch, channel, sample]` → `[batch]`
fn loudness(samples: Tensor<3>) -> Tensor<1> {
    let batch = samples.dims()[0];
    (samples.mean_dim(1).square().mean_dim(2).sqrt() + SILENCE).reshape([batch])
}

/// Segments upon one another, `step` samples apart. Each is weighted by a triangle, and the sum divided by that of the weights.
fn faded(segments: &[Tensor<3>], step: usize) -> Tensor<3> {
    let [batch, channels, longest] = segments[0].dims();
    let ends = segments.iter().enumerate().map(|(index, segment)| index * step + segment.dims()[2]);
    let length = ends.max().unwrap_or(0);
    let weight = |index: usize| {
        let place = (index + 1) as f32 / (longest + 1) as f32;
        0.5 - (place - 0.5).abs()
    };
    let mut samples = vec![0.0f32; batch * channels * length];
    let mut weights = vec![0.0f32; length];
    for (index, segment) in segments.iter().enumerate() {
        let start = index * step;
        let width = segment.dims()[2];
        let values = segment.to_data().convert::<f32>().try_to_vec::<f32>().expect("just converted");
        for (place, sum) in weights[start..start + width].iter_mut().enumerate() {
            *sum += weight(place);
        }
        for (values, samples) in values.chunks_exact(width.max(1)).zip(samples.chunks_exact_mut(length)) {
            for (place, (value, sum)) in values.iter().zip(&mut samples[start..]).enumerate() {
                *sum += weight(place) * value;
            }
        }
    }
    for samples in samples.chunks_exact_mut(length.max(1)) {
        for (sample, weight) in samples.iter_mut().zip(&weights) {
            *sample /= weight;
        }
    }
    Tensor::from_data(TensorData::new(samples, [batch, channels, length]), &segments[0].device())
}
