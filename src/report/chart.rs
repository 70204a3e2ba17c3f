//! A line chart as inline SVG.

use std::fmt::Write;

use super::html::{escape, number};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;
/// Longer series are averaged down to this many points.
const MOST_POINTS: usize = 300;

/// Lines over a common axis.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Under the horizontal axis.
    pub x_label: String,
    /// What is measured.
    pub y_label: String,
    /// Whether `y` is logarithmic; values that are not positive are then left out.
    pub logarithmic: bool,
    /// The lines; colours and dashes repeat after four.
    pub series: Vec<Series>,
}

/// One line. Points that are not finite are left out.
#[derive(Clone, Debug)]
pub struct Series {
    /// In the legend.
    pub name: String,
    /// `(x, y)`, in the order of `x`.
    pub points: Vec<(f64, f64)>,
}

/// The chart with its legend; a sentence where there is nothing to draw.
pub fn chart(chart: &Chart) -> String {
    let lines: Vec<Vec<(f64, f64)>> = chart.series.iter().map(|series| visible(chart, series)).collect();
    let (Some(x), Some(y)) = (extent(lines.iter().flatten().map(|p| p.0)), extent(lines.iter().flatten().map(|p| p.1)))
    else {
        return "<p class=\"empty\">There are no values to draw yet.</p>".to_owned();
    };
    let place = |(px, py): (f64, f64)| {
        (
            LEFT + (px - x.0) / (x.1 - x.0) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - (py - y.0) / (y.1 - y.0) * (HEIGHT - TOP - BOTTOM),
        )
    };
    let mut svg = String::new();
    for (at, label) in if chart.logarithmic { log_ticks(y) } else { linear_ticks(y) } {
        let (_, height) = place((x.0, at));
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{height:.1}\" y2=\"{height:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            height + 4.0
        );
    }
    for (at, label) in linear_ticks(x) {
        let (across, _) = place((at, y.0));
        let below = HEIGHT - BOTTOM + 18.0;
        let _ = write!(svg, "<text x=\"{across:.1}\" y=\"{below:.1}\" text-anchor=\"middle\">{label}</text>");
    }
    for (index, line) in lines.iter().enumerate() {
        let points: Vec<String> =
            line.iter().map(|point| place(*point)).map(|(px, py)| format!("{px:.1},{py:.1}")).collect();
        let _ = write!(svg, "<polyline class=\"line line-{}\" points=\"{}\"/>", index % 4, points.join(" "));
    }
    let middle = (LEFT + WIDTH - RIGHT) / 2.0;
    let _ = write!(
        svg,
        "<text class=\"axis\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        HEIGHT - 6.0,
        escape(&chart.x_label)
    );
    format!(
        "<figure class=\"chart\"><figcaption>{}</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"{}\">{svg}</svg></figure>",
        legend(chart),
        escape(&description(chart, &lines))
    )
}

fn visible(chart: &Chart, series: &Series) -> Vec<(f64, f64)> {
    let drawable = |(x, y): &(f64, f64)| x.is_finite() && y.is_finite() && (!chart.logarithmic || *y > 0.0);
    let points: Vec<(f64, f64)> = series.points.iter().copied().filter(drawable).collect();
    let scale = |(x, y): (f64, f64)| if chart.logarithmic { (x, y.log10()) } else { (x, y) };
    let bucket = points.len().div_ceil(MOST_POINTS).max(1);
    let mean = |points: &[(f64, f64)]| {
        let count = points.len() as f64;
        let (x, y) = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        scale((x / count, y / count))
    };
    points.chunks(bucket).map(mean).collect()
}

/// The smallest and largest value, a little apart even where they are equal.
fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        None
    } else if high - low > 1e-9 * high.abs() {
        Some((low, high))
    } else {
        Some((low - 0.5, high + 0.5))
    }
}

/// Multiples of 1, 2 or 5 times a power of ten, four to eight of them.
fn linear_ticks((low, high): (f64, f64)) -> Vec<(f64, String)> {
    let rough = (high - low) / 6.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough).unwrap_or(rough);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last).map(|count| count as f64 * step).map(|at| (at, number(at))).collect()
}

/// Powers of ten, and 2 and 5 times them where there is room; `low` and `high` are logarithms.
fn log_ticks((low, high): (f64, f64)) -> Vec<(f64, String)> {
    let factors: &[f64] = match high - low {
        span if span > 3.0 => &[1.0],
        span if span > 0.8 => &[1.0, 2.0, 5.0],
        _ => &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0],
    };
    (low.floor() as i32..=high.ceil() as i32)
        .flat_map(|power| factors.iter().map(move |factor| factor * 10_f64.powi(power)))
        .map(|value| (value.log10(), number(value)))
        .filter(|(at, _)| (low..=high).contains(at))
        .collect()
}

fn legend(chart: &Chart) -> String {
    let entry = |(index, series): (usize, &Series)| {
        let class = index % 4;
        let key = format!(
            "<svg viewBox=\"0 0 28 8\" aria-hidden=\"true\"><line class=\"line line-{class}\" x2=\"28\" y1=\"4\" y2=\"4\"/></svg>"
        );
        format!("<span>{key}{}</span>", escape(&series.name))
    };
    let entries: String = chart.series.iter().enumerate().map(entry).collect();
    format!("<span class=\"measure\">{}</span>{entries}", escape(&chart.y_label))
}

/// What a reader who cannot see the chart is told: where each line starts and ends.
fn description(chart: &Chart, lines: &[Vec<(f64, f64)>]) -> String {
    let unscale = |y: f64| if chart.logarithmic { 10_f64.powf(y) } else { y };
    let mut text = format!("{} over {}.", chart.y_label, chart.x_label);
    for (series, line) in chart.series.iter().zip(lines) {
        if let (Some(first), Some(last)) = (line.first(), line.last()) {
            let _ = write!(text, " {}: from {} to {}.", series.name, number(unscale(first.1)), number(unscale(last.1)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(points: Vec<(f64, f64)>) -> String {
        let series = vec![Series { name: "train <raw>".to_owned(), points }];
        chart(&Chart { x_label: "step".to_owned(), y_label: "loss".to_owned(), logarithmic: true, series })
    }

    #[test]
    fn draws_and_describes() {
        let html = example((1..=1000).map(|n| (f64::from(n), 1.0 / f64::from(n))).collect());
        assert!(html.contains("train &lt;raw&gt;: from 0.") && !html.contains("<raw>"));
        assert!(html.contains(">0.01</text>") && html.contains(">800</text>"));
        assert!(!html.contains("NaN"));
    }

    #[test]
    fn unusable_points_are_left_out() {
        assert!(example(vec![]).contains("no values"));
        assert!(example(vec![(1.0, f64::NAN), (2.0, -1.0), (f64::INFINITY, 1.0)]).contains("no values"));
        let one = example(vec![(3.0, 0.5), (4.0, f64::NAN)]);
        assert!(one.contains("polyline") && !one.contains("NaN"));
    }

    #[test]
    fn ticks_are_round_and_inside() {
        for (low, high) in [(0.0, 1.0), (0.0, 987.0), (-3.0, 4.5), (1e-3, 2e-3)] {
            let ticks = linear_ticks((low, high));
            assert!((3..=8).contains(&ticks.len()), "{ticks:?}");
            assert!(ticks.iter().all(|(at, _)| (low..=high).contains(at)), "{ticks:?}");
        }
        let labels: Vec<String> = log_ticks((-2.1, 0.1)).into_iter().map(|tick| tick.1).collect();
        assert_eq!(labels, ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1"]);
    }
}
