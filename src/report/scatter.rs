//! Points in a plane as inline SVG, some of them numbered.

use std::fmt::Write;

use super::html::escape;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 460.0;
const MARGIN: f64 = 24.0;

/// Sets of points.
#[derive(Clone, Debug)]
pub struct Scatter {
    /// What is seen.
    pub title: String,
    /// The sets; colours and shapes repeat after four.
    pub sets: Vec<Points>,
}

/// One set.
#[derive(Clone, Debug)]
pub struct Points {
    /// In the legend.
    pub name: String,
    /// `(x, y)` with a name; those that are not finite are left out.
    pub points: Vec<([f64; 2], String)>,
    /// The places in `points` of those that carry a number, in the order of the numbers.
    pub numbered: Vec<usize>,
}

/// The points with their legend; a sentence where there is nothing to draw.
pub fn scatter(scatter: &Scatter) -> String {
    let all = || scatter.sets.iter().flat_map(|set| &set.points).map(|point| point.0).filter(drawable);
    let Some(first) = all().next() else {
        return "<p class=\"empty\">There are no points to draw.</p>".to_owned();
    };
    let (mut low, mut high) = (first, first);
    for point in all() {
        for axis in 0..2 {
            low[axis] = low[axis].min(point[axis]);
            high[axis] = high[axis].max(point[axis]);
        }
    }
    // One scale for both axes: distances are what is looked at.
    let room = [WIDTH - 2.0 * MARGIN, HEIGHT - 2.0 * MARGIN];
    let fit = |axis: usize| room[axis] / (high[axis] - low[axis]).max(1e-12);
    let scale = fit(0).min(fit(1));
    let place = |point: [f64; 2]| {
        let [x, y] = [0, 1].map(|axis| (point[axis] - f64::midpoint(low[axis], high[axis])) * scale);
        [WIDTH / 2.0 + x, HEIGHT / 2.0 - y]
    };
    let mut svg = String::new();
    let mut number = 0;
    for (index, set) in scatter.sets.iter().enumerate() {
        for (point, name) in set.points.iter().filter(|(point, _)| drawable(point)) {
            svg.push_str(&mark(index % 4, place(*point), name));
        }
        for (point, _) in set.numbered.iter().filter_map(|place| set.points.get(*place)) {
            number += 1;
            if drawable(point) {
                let [x, y] = place(*point);
                let _ = write!(svg, "<text class=\"number\" x=\"{:.1}\" y=\"{:.1}\">{number}</text>", x + 6.0, y - 5.0);
            }
        }
    }
    let entry = |(index, set): (usize, &Points)| {
        let key = mark(index % 4, [6.0, 6.0], "");
        format!(
            "<span><svg class=\"dot\" viewBox=\"0 0 12 12\" aria-hidden=\"true\">{key}</svg>{}</span>",
            escape(&set.name)
        )
    };
    let legend: String = scatter.sets.iter().enumerate().map(entry).collect();
    let title = escape(&scatter.title);
    format!(
        "<figure class=\"chart\"><figcaption><span class=\"measure\">{title}</span>{legend}</figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">{svg}</svg></figure>"
    )
}

fn drawable(point: &[f64; 2]) -> bool {
    point.iter().all(|value| value.is_finite())
}

/// A disc, a square, a diamond or a ring, that tells its name to who points at it.
fn mark(shape: usize, [x, y]: [f64; 2], name: &str) -> String {
    let title = if name.is_empty() { String::new() } else { format!("<title>{}</title>", escape(name)) };
    let class = format!("class=\"mark mark-{shape}\"");
    match shape {
        1 => format!("<rect {class} x=\"{:.1}\" y=\"{:.1}\" width=\"7\" height=\"7\">{title}</rect>", x - 3.5, y - 3.5),
        2 => format!("<path {class} d=\"M{x:.1} {:.1}l4.5 4.5l-4.5 4.5l-4.5 -4.5z\">{title}</path>", y - 4.5),
        _ => format!("<circle {class} cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\">{title}</circle>"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_drawn_to_one_scale_and_numbered() {
        let points = |points: &[[f64; 2]]| points.iter().map(|point| (*point, "<a>".to_owned())).collect();
        let sets = vec![
            Points {
                name: "ref".to_owned(),
                points: points(&[[0.0, 0.0], [100.0, 0.0], [f64::NAN, 1.0]]),
                numbered: vec![],
            },
            Points { name: "gen".to_owned(), points: points(&[[50.0, 10.0]]), numbered: vec![0, 7] },
        ];
        let html = scatter(&Scatter { title: "t".to_owned(), sets });
        // Ten of a hundred across are ten of a hundred up.
        assert!(html.contains("cx=\"24.0\" cy=\"265.6\"") && html.contains("cx=\"736.0\""), "{html}");
        assert!(html.contains("x=\"376.5\" y=\"190.9\"") && html.contains(">1</text>") && !html.contains(">2</text>"));
        assert!(html.contains("&lt;a&gt;") && !html.contains("NaN"));
        assert!(scatter(&Scatter { title: String::new(), sets: vec![] }).contains("no points"));
    }
}
