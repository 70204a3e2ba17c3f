//! The fields of a `scheduler_config.json`: which class has which, and what a file leaves out.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::invalid;
use super::{
    AlgorithmType, BetaSchedule, DiffusionError, FinalSigmas, PredictionType, SchedulerClass, SchedulerConfig,
    TimestepSpacing, VarianceType,
};
use crate::files::write_atomic;

/// The diffusers release whose field names and defaults these are.
const DIFFUSERS_VERSION: &str = "0.24.0";

/// Fields that change a trajectory and that we know one value of.
const FIXED: [(&str, &[&str]); 15] = [
    ("use_exponential_sigmas", &["false"]),
    ("use_beta_sigmas", &["false"]),
    ("use_lu_lambdas", &["false"]),
    ("use_dynamic_shifting", &["false"]),
    ("invert_sigmas", &["false"]),
    ("stochastic_sampling", &["false"]),
    ("predict_x0", &["true"]),
    ("solver_p", &["null"]),
    ("shift_terminal", &["null"]),
    ("sigma_min", &["null"]),
    ("sigma_max", &["null"]),
    ("disable_corrector", &["[]"]),
    ("interpolation_type", &["\"linear\""]),
    ("timestep_type", &["\"discrete\""]),
    // DPM-Solver++ has the one, UniPC the other; each class reads the other's as its own.
    ("solver_type", &["\"midpoint\"", "\"bh2\""]),
];

/// A file as it stands: what it leaves out is absent.
#[derive(Deserialize)]
pub(super) struct Fields {
    #[serde(rename = "_class_name", default)]
    class: SchedulerClass,
    num_train_timesteps: Option<usize>,
    beta_start: Option<f64>,
    beta_end: Option<f64>,
    beta_schedule: Option<BetaSchedule>,
    trained_betas: Option<Vec<f64>>,
    prediction_type: Option<PredictionType>,
    variance_type: Option<VarianceType>,
    clip_sample: Option<bool>,
    clip_sample_range: Option<f64>,
    thresholding: Option<bool>,
    dynamic_thresholding_ratio: Option<f64>,
    sample_max_value: Option<f64>,
    timestep_spacing: Option<TimestepSpacing>,
    steps_offset: Option<usize>,
    set_alpha_to_one: Option<bool>,
    rescale_betas_zero_snr: Option<bool>,
    use_karras_sigmas: Option<bool>,
    final_sigmas_type: Option<FinalSigmas>,
    algorithm_type: Option<AlgorithmType>,
    solver_order: Option<usize>,
    lower_order_final: Option<bool>,
    euler_at_final: Option<bool>,
    lambda_min_clipped: Option<f64>,
    shift: Option<f64>,
    flow_shift: Option<f64>,
    use_flow_sigmas: Option<bool>,
}

impl TryFrom<Fields> for SchedulerConfig {
    type Error = DiffusionError;

    fn try_from(fields: Fields) -> Result<Self, DiffusionError> {
        let class = fields.class;
        let default = Self::of(class);
        let prediction_type = match class {
            // Its files have no such field, and what training configurations say of it there is another class's default.
            SchedulerClass::FlowEuler => PredictionType::Flow,
            _ => fields.prediction_type.unwrap_or(default.prediction_type),
        };
        let flow = prediction_type == PredictionType::Flow;
        if let Some(found) = fields.use_flow_sigmas.filter(|found| *found != flow) {
            let expected = format!("{flow} with the `prediction_type` of the file");
            return Err(invalid("use_flow_sigmas", found, expected));
        }
        Ok(Self {
            class,
            num_train_timesteps: fields.num_train_timesteps.unwrap_or(default.num_train_timesteps),
            beta_start: fields.beta_start.unwrap_or(default.beta_start),
            beta_end: fields.beta_end.unwrap_or(default.beta_end),
            beta_schedule: fields.beta_schedule.unwrap_or(default.beta_schedule),
            trained_betas: fields.trained_betas,
            prediction_type,
            variance_type: fields.variance_type.unwrap_or(default.variance_type),
            clip_sample: fields.clip_sample.unwrap_or(default.clip_sample),
            clip_sample_range: fields.clip_sample_range.unwrap_or(default.clip_sample_range),
            thresholding: fields.thresholding.unwrap_or(default.thresholding),
            dynamic_thresholding_ratio: fields.dynamic_thresholding_ratio.unwrap_or(default.dynamic_thresholding_ratio),
            sample_max_value: fields.sample_max_value.unwrap_or(default.sample_max_value),
            timestep_spacing: fields.timestep_spacing.unwrap_or(default.timestep_spacing),
            steps_offset: fields.steps_offset.unwrap_or(default.steps_offset),
            set_alpha_to_one: fields.set_alpha_to_one.unwrap_or(default.set_alpha_to_one),
            rescale_betas_zero_snr: fields.rescale_betas_zero_snr.unwrap_or(default.rescale_betas_zero_snr),
            use_karras_sigmas: fields.use_karras_sigmas.unwrap_or(default.use_karras_sigmas),
            final_sigmas_type: fields.final_sigmas_type.unwrap_or(default.final_sigmas_type),
            algorithm_type: fields.algorithm_type.unwrap_or(default.algorithm_type),
            solver_order: fields.solver_order.unwrap_or(default.solver_order),
            lower_order_final: fields.lower_order_final.unwrap_or(default.lower_order_final),
            euler_at_final: fields.euler_at_final.unwrap_or(default.euler_at_final),
            lambda_min_clipped: fields.lambda_min_clipped,
            shift: fields.flow_shift.or(fields.shift).unwrap_or(default.shift),
        })
    }
}

impl SchedulerConfig {
    /// Reads and validates a `scheduler_config.json`.
    pub fn load(path: &Path) -> Result<Self, DiffusionError> {
        let text = fs::read_to_string(path).map_err(|source| DiffusionError::Io { path: path.into(), source })?;
        let text = without_infinities(&text);
        let mut json = serde_json::Deserializer::from_str(&text);
        let config: Self = serde_path_to_error::deserialize(&mut json).map_err(|error| DiffusionError::Parse {
            path: path.into(),
            field: error.path().to_string(),
            reason: error.inner().to_string(),
        })?;
        check_fixed(&text)?;
        config.validate()?;
        Ok(config)
    }

    /// Writes the file that diffusers' `from_pretrained` opens, atomically.
    pub fn save(&self, path: &Path) -> Result<(), DiffusionError> {
        let text = format!("{:#}\n", self.published());
        write_atomic(path, text.as_bytes()).map_err(|source| DiffusionError::Io { path: path.into(), source })
    }

    /// The fields that the published class knows, and those of other classes that say something: diffusers keeps them for
    /// its `from_config`.
    fn published(&self) -> Value {
        let known = fields_of(self.class);
        let default = Self::of(self.class).named();
        let mut fields = self.named();
        fields.retain(|name, value| {
            known.iter().any(|part| part.contains(&name.as_str())) || default.get(name) != Some(value)
        });
        // diffusers' default is no number of JSON.
        if self.lambda_min_clipped.is_none() {
            fields.remove("lambda_min_clipped");
        }
        // Newer than the release that is named; its default is false.
        if !self.rescale_betas_zero_snr {
            fields.remove("rescale_betas_zero_snr");
        }
        fields.insert("_class_name".into(), json!(self.class));
        fields.insert("_diffusers_version".into(), DIFFUSERS_VERSION.into());
        Value::Object(fields)
    }

    /// Every field under the name that it has in the files of the class.
    fn named(&self) -> Map<String, Value> {
        let Value::Object(mut fields) = json!(self) else { return Map::new() };
        if matches!(self.class, SchedulerClass::DpmSolver | SchedulerClass::UniPc) {
            let shift = fields.remove("shift").unwrap_or_default();
            fields.insert("flow_shift".into(), shift);
            fields.insert("use_flow_sigmas".into(), (self.prediction_type == PredictionType::Flow).into());
        }
        fields
    }
}

/// The fields of a class, those of ours that it has.
fn fields_of(class: SchedulerClass) -> Vec<&'static [&'static str]> {
    const BETAS: &[&str] = &[
        "num_train_timesteps",
        "beta_start",
        "beta_end",
        "beta_schedule",
        "trained_betas",
        "prediction_type",
        "timestep_spacing",
        "steps_offset",
    ];
    const RESCALE: &[&str] = &["rescale_betas_zero_snr"];
    const CLIP: &[&str] = &["clip_sample", "clip_sample_range"];
    const THRESHOLD: &[&str] = &["thresholding", "dynamic_thresholding_ratio", "sample_max_value"];
    const KARRAS: &[&str] = &["use_karras_sigmas"];
    const FINAL: &[&str] = &["final_sigmas_type"];
    const MULTISTEP: &[&str] = &["solver_order", "lower_order_final", "use_flow_sigmas", "flow_shift"];
    match class {
        SchedulerClass::Ddpm => vec![BETAS, RESCALE, CLIP, THRESHOLD, &["variance_type"]],
        SchedulerClass::Ddim => vec![BETAS, RESCALE, CLIP, THRESHOLD, &["set_alpha_to_one"]],
        SchedulerClass::Euler => vec![BETAS, RESCALE, KARRAS, FINAL],
        SchedulerClass::Heun => vec![BETAS, CLIP, KARRAS],
        SchedulerClass::DpmSolver => vec![
            BETAS,
            RESCALE,
            THRESHOLD,
            KARRAS,
            FINAL,
            MULTISTEP,
            &["algorithm_type", "euler_at_final", "lambda_min_clipped"],
        ],
        SchedulerClass::UniPc => vec![BETAS, RESCALE, THRESHOLD, KARRAS, FINAL, MULTISTEP],
        SchedulerClass::FlowEuler => vec![&["num_train_timesteps", "shift"]],
    }
}

/// Refuses a file whose trajectories would not be ours.
fn check_fixed(text: &str) -> Result<(), DiffusionError> {
    let fields: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    for (field, known) in FIXED {
        if let Some(found) = fields.get(field).map(Value::to_string).filter(|found| !known.contains(&found.as_str())) {
            return Err(invalid(field, found, format!("{}: nothing else is supported", known.join(" or "))));
        }
    }
    Ok(())
}

/// JSON as Python writes it, its infinities put as null.
fn without_infinities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Every other part is between quotation marks.
    for (index, part) in text.split('"').enumerate() {
        if index > 0 {
            out.push('"');
        }
        if index % 2 == 0 { out.push_str(&part.replace("-Infinity", "null")) } else { out.push_str(part) }
    }
    out
}
