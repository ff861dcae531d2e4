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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_beside_each_other_and_long_ones_are_cut_on_the_left_alone() {
        let long = "é".repeat(80);
        let page = columns(("before", &format!("a\n{long}")), ("after", &format!("b\nc\n{long}")));
        let rows: Vec<&str> = page.lines().collect();
        assert_eq!(rows.len(), 5);
        let at = |row: &str| row.chars().position(|letter| letter == '│');
        assert!(rows.iter().all(|row| at(row) == at(rows[0])), "{page}");
        assert!(rows[3].contains("é… │ c") && rows[4].ends_with(&long), "{page}");
    }
}
