use super::Context;
use super::options::Compared;
use crate::cli::Outcome;
use crate::evaluate::{Bandwidth, EvaluateError, KadOptions, VectorMetric, kad};
use clap::Args;

#[derive(Debug, Args)]
pub struct Kad {
    #[command(flatten)]
    compared: Compared,
    /// Models, by commas, or what the sets' embeddings are called: see docs/evaluation.md [default: pooled-mel for audio]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    models: Vec<String>,
    /// Which, by commas: kad, kid, prdc
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "kad")]
    metrics: Vec<VectorMetric>,
    /// Whose median distance is KAD's bandwidth; generated is what kadtk does
    #[arg(long, value_name = "SET", value_enum, default_value_t)]
    bandwidth: Bandwidth,
}

impl Kad {
    pub fn run(self, context: &Context) -> Result<Outcome, EvaluateError> {
        let options = KadOptions { metrics: self.metrics, bandwidth: self.bandwidth };
        Ok(self.compared.run(context, &self.models, |sets, progress| kad(sets, &options, progress))?.1)
    }
}
