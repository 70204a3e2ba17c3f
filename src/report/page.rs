//! The page: head, facts, sections.

use super::chart::{Chart, chart};
use super::clip::{Clip, clips};
use super::html::escape;
use super::scatter::{Scatter, scatter};
use super::table::{Scores, scores};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A whole page.
#[derive(Clone, Debug)]
pub struct Report {
    /// The page's heading.
    pub title: String,
    /// A paragraph under the title.
    pub summary: String,
    /// Numbers beside each other, above everything else.
    pub facts: Vec<Fact>,
    /// The rest, in this order.
    pub sections: Vec<Section>,
}

/// A number worth showing large.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Such as `12`.
    pub value: String,
    /// Such as `minutes of audio`.
    pub label: String,
}

/// A heading, a paragraph and what they are about.
#[derive(Clone, Debug)]
pub struct Section {
    /// The heading.
    pub heading: String,
    /// The paragraph; may be empty.
    pub text: String,
    /// What is shown.
    pub body: Body,
}

/// What a section shows.
#[derive(Clone, Debug)]
pub enum Body {
    /// Cards with players.
    Clips(Vec<Clip>),
    /// Lines over an axis.
    Chart(Chart),
    /// Points in a plane.
    Scatter(Scatter),
    /// A table with bars.
    Scores(Scores),
    /// Command lines, each with a button that copies it.
    Commands(Vec<Command>),
}

/// A command line to copy.
#[derive(Clone, Debug)]
pub struct Command {
    /// What it does.
    pub purpose: String,
    /// The line as typed.
    pub line: String,
}

/// The page as one HTML file.
pub fn render(report: &Report) -> String {
    let title = escape(&report.title);
    let summary = escape(&report.summary);
    let facts: String = report.facts.iter().map(fact).collect();
    let sections: String = report.sections.iter().map(section).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'unsafe-inline'; img-src data:; media-src data:\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header><p class=\"brand\">Nocturne</p><h1>{title}</h1><p class=\"summary\">{summary}</p><dl>{facts}</dl></header>\n\
         <main>{sections}</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    )
}

fn fact(fact: &Fact) -> String {
    format!("<div><dt>{}</dt><dd>{}</dd></div>", escape(&fact.label), escape(&fact.value))
}

fn section(section: &Section) -> String {
    let text = if section.text.is_empty() { String::new() } else { format!("<p>{}</p>", escape(&section.text)) };
    let body = match &section.body {
        Body::Clips(list) => clips(list),
        Body::Chart(lines) => chart(lines),
        Body::Scatter(points) => scatter(points),
        Body::Scores(table) => scores(table),
        Body::Commands(list) => commands(list),
    };
    format!("<section><h2>{}</h2>{text}{body}</section>\n", escape(&section.heading))
}

fn commands(commands: &[Command]) -> String {
    let items: String = commands.iter().map(command).collect();
    format!("<ol class=\"commands\">{items}</ol>")
}

fn command(command: &Command) -> String {
    // The script shows the button: without it, the line can still be read and selected.
    format!(
        "<li><p>{}</p><div class=\"command\"><pre tabindex=\"0\"><code>{}</code></pre>\
         <button type=\"button\" hidden>Copy</button></div></li>",
        escape(&command.purpose),
        escape(&command.line)
    )
}

#[cfg(test)]
mod tests {
    use super::super::{Mel, Points, Score, Series};
    use super::*;

    const HOSTILE: &str = "</script><img src=https://example.org/x onerror='alert(1)'>\"&";

    fn report() -> Report {
        let hostile = || HOSTILE.to_owned();
        let mel = Mel { values: vec![0.5; 6], height: 2, width: 3 };
        let clip = Clip { title: hostile(), note: hostile(), samples: vec![0.1; 100], sample_rate: 22_050, mel };
        let series = vec![Series { name: hostile(), points: vec![(0.0, 1.0), (1.0, 0.5)] }];
        let chart = Chart { x_label: hostile(), y_label: hostile(), logarithmic: false, series };
        let rows = vec![Score { name: hostile(), value: f64::NAN, interval: None, note: hostile(), highlight: true }];
        let scores = Scores { columns: [hostile(), hostile()], explanation: hostile(), rows };
        let commands = vec![Command { purpose: hostile(), line: hostile() }];
        let points = Points { name: hostile(), points: vec![([0.0, 1.0], hostile())], numbered: vec![0] };
        let scatter = Scatter { title: hostile(), sets: vec![points] };
        let bodies = [
            Body::Clips(vec![clip]),
            Body::Chart(chart),
            Body::Scatter(scatter),
            Body::Scores(scores),
            Body::Commands(commands),
        ];
        let section = |body| Section { heading: hostile(), text: hostile(), body };
        Report {
            title: hostile(),
            summary: hostile(),
            facts: vec![Fact { value: hostile(), label: hostile() }],
            sections: bodies.map(section).into(),
        }
    }

    #[test]
    fn every_text_is_escaped() {
        let page = render(&report());
        assert!(!page.contains("<img src=https") && !page.contains("onerror='"));
        assert_eq!(page.matches("</script>").count(), 1);
        // 29 texts; the titles of the page and the points are said twice, the clip's three times, the chart's two labels and name
        // twice each.
        assert_eq!(page.matches("&lt;/script&gt;").count(), 36);
    }

    #[test]
    fn nothing_is_fetched() {
        let page = render(&report());
        for attribute in ["src=\"", "href=\"", "url("] {
            for (at, _) in page.match_indices(attribute) {
                assert!(page[at + attribute.len()..].starts_with("data:"), "{}", &page[at..at + 40]);
            }
        }
    }
}
