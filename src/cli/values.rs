//! Values that flags are written in.

use crate::representation::MelSpecMethod;
use std::str::FromStr;

/// Frames and mel bands: `W,H`, or one number for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolution(pub [usize; 2]);

impl FromStr for Resolution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (width, height) = text.split_once([',', 'x']).unwrap_or((text, text));
        let number = |part: &str| part.trim().parse::<usize>().ok().filter(|number| *number > 0);
        match (number(width), number(height)) {
            (Some(width), Some(height)) => Ok(Self([width, height])),
            _ => Err("expected `W,H` (frames, mel bands), or one number for both".to_owned()),
        }
    }
}

/// A number, but no NaN and no infinity, which JSON cannot carry into the configuration.
pub fn finite<T: FromStr + Copy + Into<f64>>(text: &str) -> Result<T, String> {
    let number = text.parse::<T>().ok().filter(|number| Into::<f64>::into(*number).is_finite());
    number.ok_or_else(|| "expected a finite number".to_owned())
}

/// `image` or `bigvgan`.
pub fn method(text: &str) -> Result<MelSpecMethod, String> {
    match text {
        "image" => Ok(MelSpecMethod::Image),
        "bigvgan" => Ok(MelSpecMethod::Bigvgan),
        _ => Err("expected image or bigvgan".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_finite() {
        assert_eq!(finite("1e-4"), Ok(1e-4));
        for wrong in ["nan", "inf", "-inf", "1e400", "fast", ""] {
            assert!(finite::<f64>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn resolutions_are_width_then_height() {
        assert_eq!("256".parse(), Ok(Resolution([256, 256])));
        assert_eq!("1024, 128".parse(), Ok(Resolution([1024, 128])));
        for wrong in ["", "a", "64,", "0", "-1,5", "1,2,3"] {
            assert!(wrong.parse::<Resolution>().is_err(), "{wrong}");
        }
    }
}
