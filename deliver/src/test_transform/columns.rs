//! Two texts side by side.

/// Letters of one column.
const WIDTH: usize = 62;

/// Both texts, each below its title. A line that is too long for its column is cut and ends with an ellipsis.
pub(super) fn columns((left, before): (&str, &str), (right, after): (&str, &str)) -> String {
    let (mut before, mut after) = (before.lines(), after.lines());
    let mut page = row(left, right);
    page.push_str(&row(&"─".repeat(WIDTH), &"─".repeat(WIDTH)));
    loop {
        match (before.next(), after.next()) {
            (None, None) => return page,
            (left, right) => page.push_str(&row(left.unwrap_or(""), right.unwrap_or(""))),
        }
    }
}

fn row(left: &str, right: &str) -> String {
    let row = format!("{:WIDTH$} │ {}", fitting(left), right);
    format!("{}\n", row.trim_end())
}

fn fitting(text: &str) -> String {
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    text.chars().take(WIDTH - 1).chain(['…']).collect()
}
