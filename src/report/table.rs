//! A table of scores, each with a bar of its value.

use super::html::{escape, number};

/// Values of one measure, smaller or larger being better as `explanation` tells.
#[derive(Clone, Debug)]
pub struct Scores {
    /// Heads of the columns: what is scored, and the measure.
    pub columns: [String; 2],
    /// A sentence under the table.
    pub explanation: String,
    /// The lines, in this order.
    pub rows: Vec<Score>,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Score {
    /// What is scored.
    pub name: String,
    /// Its score; one that is not finite is shown as a dash.
    pub value: f64,
    /// Where it probably is, where that is known.
    pub interval: Option<[f64; 2]>,
    /// What the line is there for; may be empty.
    pub note: String,
    /// Whether the page is about this line; the others are there to compare.
    pub highlight: bool,
}

/// The table. Bars begin at zero, or at the lowest number where one is below.
pub fn scores(scores: &Scores) -> String {
    let numbers = || scores.rows.iter().flat_map(|row| row.interval.into_iter().flatten().chain([row.value]));
    let finite = || numbers().filter(|value| value.is_finite());
    let scale = [finite().fold(0.0, f64::min), finite().fold(0.0, f64::max)];
    let rows: String = scores.rows.iter().map(|row| line(row, scale)).collect();
    let [what, measure] = scores.columns.each_ref().map(|column| escape(column));
    format!(
        "<table class=\"scores\"><caption>{}</caption><thead><tr><th scope=\"col\">{what}</th>\
         <th scope=\"col\">{measure}</th></tr></thead><tbody>{rows}</tbody></table>",
        escape(&scores.explanation)
    )
}

fn line(row: &Score, [least, most]: [f64; 2]) -> String {
    let share = |value: f64| {
        let share = 100.0 * (value - least) / (most - least);
        if share.is_finite() { share.clamp(0.0, 100.0) } else { 0.0 }
    };
    let class = if row.highlight { " class=\"highlight\"" } else { "" };
    let note = if row.note.is_empty() { String::new() } else { format!("<small>{}</small>", escape(&row.note)) };
    let (range, whisker) = row.interval.map_or_else(Default::default, |[low, high]| {
        let (from, to) = (share(low), share(high));
        (
            format!(" <small class=\"range\">{} to {}</small>", number(low), number(high)),
            format!("<i style=\"--from:{from:.1}%;--width:{:.1}%\"></i>", to - from),
        )
    });
    format!(
        "<tr{class}><th scope=\"row\">{}{note}</th><td><span class=\"value\">{}</span>{range}\
         <span class=\"bar\" style=\"--share:{:.1}%\">{whisker}</span></td></tr>",
        escape(&row.name),
        number(row.value),
        share(row.value)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_and_intervals_share_one_scale() {
        let row = |value, interval| Score { name: "a".into(), value, interval, note: String::new(), highlight: false };
        let table = |rows| scores(&Scores { columns: ["x".into(), "y".into()], explanation: String::new(), rows });
        let html = table(vec![row(2.0, Some([1.0, 4.0])), row(f64::NAN, None)]);
        assert!(html.contains("--share:50.0%") && html.contains("--from:25.0%;--width:75.0%"), "{html}");
        assert!(html.contains("1 to 4") && html.contains(">—<") && html.contains("--share:0.0%"), "{html}");
        let html = table(vec![row(-1.0, None), row(3.0, None)]);
        assert!(html.contains("--share:0.0%") && html.contains("--share:100.0%"), "{html}");
    }
}
