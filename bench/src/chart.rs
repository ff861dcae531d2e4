//! Bars with their range, as SVG: no more than a page of figures needs to be seen at once.

use crate::report::Chart;
use crate::statistics::{Spread, count};

const WIDTH: f64 = 760.0;
const LABEL: f64 = 230.0;
const VALUE: f64 = 110.0;
const BAR: f64 = 20.0;
const STEP: f64 = 30.0;
const TITLE: f64 = 28.0;
const OURS: &str = "#1f6f8b";
const OTHERS: &str = "#b8c4c9";

/// All charts of a stage, one below the other.
pub(crate) fn svg(charts: &[Chart]) -> String {
    let heights = charts.iter().map(height);
    let total: f64 = heights.clone().sum();
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {total}\" width=\"{WIDTH}\" \
         height=\"{total}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    let mut top = 0.0;
    for (chart, height) in charts.iter().zip(heights) {
        draw(&mut text, chart, top);
        top += height;
    }
    text.push_str("</svg>\n");
    text
}

fn height(chart: &Chart) -> f64 {
    TITLE + STEP * count(chart.bars.len()) + 14.0
}

fn draw(text: &mut String, chart: &Chart, top: f64) {
    let furthest =
        chart.bars.iter().map(|(_, spread)| spread.most).fold(f64::MIN_POSITIVE, f64::max);
    let scale = (WIDTH - LABEL - VALUE) / furthest;
    let title = escaped(&chart.title);
    let baseline = top + 18.0;
    put(text, format_args!("<text x=\"4\" y=\"{baseline}\" font-weight=\"bold\">{title}</text>\n"));
    for (place, (side, spread)) in chart.bars.iter().enumerate() {
        let Spread { median, least, most, .. } = *spread;
        let y = top + TITLE + STEP * count(place);
        let (middle, colour) =
            (y + BAR / 2.0, if side.starts_with("tributary") { OURS } else { OTHERS });
        let (length, from, to) = (median * scale, LABEL + least * scale, LABEL + most * scale);
        let (label, letters, value) = (escaped(side), middle + 4.5, to + 8.0);
        let digits = usize::from(median < 100.0);
        put(
            text,
            format_args!(
                "<text x=\"{}\" y=\"{letters:.1}\" text-anchor=\"end\">{label}</text>\n\
                 <rect x=\"{LABEL}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\n\
                 <path d=\"M{from:.1} {middle:.1}H{to:.1}\" stroke=\"#333333\" stroke-width=\"1.5\"/>\n\
                 <text x=\"{value:.1}\" y=\"{letters:.1}\">{median:.digits$}</text>\n",
                LABEL - 8.0
            ),
        );
    }
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.push_str(&what.to_string());
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_ends_before_the_numbers_begin_and_ours_stands_out() {
        let spread = |median| Spread::of(&[median]).unwrap();
        let bars =
            vec![("tributary".to_owned(), spread(50.0)), ("a <peer>".to_owned(), spread(100.0))];
        let text = svg(&[Chart { title: "events a second".to_owned(), bars }]);
        assert!(text.contains("width=\"210.0\""), "{text}");
        assert!(text.contains("width=\"420.0\""), "{text}");
        assert_eq!(text.matches(OURS).count(), 1);
        assert!(text.contains("a &lt;peer>"));
    }
}
