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
    /// What the line is there for; may be empty.
    pub note: String,
    /// Whether the page is about this line; the others are there to compare.
    pub highlight: bool,
}

/// The table.
pub fn scores(scores: &Scores) -> String {
    let largest = scores.rows.iter().map(|row| row.value).filter(|value| value.is_finite()).fold(0.0, f64::max);
    let rows: String = scores.rows.iter().map(|row| line(row, largest)).collect();
    let [what, measure] = scores.columns.each_ref().map(|column| escape(column));
    format!(
        "<table class=\"scores\"><caption>{}</caption><thead><tr><th scope=\"col\">{what}</th>\
         <th scope=\"col\">{measure}</th></tr></thead><tbody>{rows}</tbody></table>",
        escape(&scores.explanation)
    )
}

fn line(row: &Score, largest: f64) -> String {
    let share = if largest > 0.0 { (row.value / largest).clamp(0.0, 1.0) } else { 0.0 };
    let class = if row.highlight { " class=\"highlight\"" } else { "" };
    let note = if row.note.is_empty() { String::new() } else { format!("<small>{}</small>", escape(&row.note)) };
    format!(
        "<tr{class}><th scope=\"row\">{}{note}</th><td><span class=\"value\">{}</span>\
         <span class=\"bar\" style=\"--share:{:.1}%\"></span></td></tr>",
        escape(&row.name),
        number(row.value),
        100.0 * share
    )
}
