//! Figures that are read beside each other: lines and columns instead of a list.

use std::fmt;

use crate::report::Row;

/// The figures that stand in no table.
pub(crate) fn listed(rows: &[Row]) -> impl Iterator<Item = &Row> {
    rows.iter().filter(|row| row.place.is_none())
}

/// Lines and columns in the order in which they were named first.
#[derive(Debug, PartialEq)]
pub(crate) struct Table<'a> {
    title: &'a str,
    columns: Vec<&'a str>,
    lines: Vec<Line<'a>>,
}

#[derive(Debug, PartialEq)]
struct Line<'a> {
    what: &'a str,
    /// By column; nothing where nothing was measured.
    cells: Vec<Option<&'a Row>>,
}

/// The tables that figures stand in.
pub(crate) fn tables(rows: &[Row]) -> Vec<Table<'_>> {
    let mut tables: Vec<Table<'_>> = Vec::new();
    for row in rows {
        let Some(place) = &row.place else { continue };
        let at = position(&tables, |table| table.title == place.table).unwrap_or_else(|| {
            tables.push(Table { title: &place.table, columns: Vec::new(), lines: Vec::new() });
            tables.len() - 1
        });
        tables[at].put(&place.column, row);
    }
    tables
}

fn position<T>(all: &[T], is: impl Fn(&T) -> bool) -> Option<usize> {
    all.iter().position(is)
}

impl<'a> Table<'a> {
    fn put(&mut self, column: &'a str, row: &'a Row) {
        let column = position(&self.columns, |known| *known == column).unwrap_or_else(|| {
            self.columns.push(column);
            self.columns.len() - 1
        });
        let line = position(&self.lines, |line| line.what == row.what).unwrap_or_else(|| {
            self.lines.push(Line { what: &row.what, cells: Vec::new() });
            self.lines.len() - 1
        });
        let cells = &mut self.lines[line].cells;
        cells.resize(cells.len().max(column + 1), None);
        cells[column] = Some(row);
    }

    /// For the page.
    pub(crate) fn markdown(&self) -> String {
        let columns = self.columns.join(" | ");
        let rule = "---|".repeat(self.columns.len());
        let mut lines = vec![format!("\n| {} | {columns} |\n|---|{rule}", self.title)];
        lines.extend(self.lines.iter().map(|line| {
            let cells: Vec<String> = self.cells(line).collect();
            format!("| {} | {} |", line.what, cells.join(" | "))
        }));
        lines.push(String::new());
        lines.join("\n")
    }

    fn cells(&self, line: &Line<'a>) -> impl Iterator<Item = String> {
        let cells = (0..self.columns.len()).map(|column| line.cells.get(column).copied().flatten());
        cells.map(|cell| cell.map_or_else(|| "–".to_owned(), Row::measured))
    }
}

/// For whoever runs it.
impl fmt::Display for Table<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "  {} ({})", self.title, self.columns.join("; "))?;
        for line in &self.lines {
            write!(formatter, "    {:<52}", line.what)?;
            for cell in self.cells(line) {
                write!(formatter, " {cell:>12}")?;
            }
            writeln!(formatter)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Goal, Place};

    fn cell(column: &str, line: &str, value: f64) -> Row {
        let place = Place { table: "legs".to_owned(), column: column.to_owned() };
        Row::placed(place, line, "ms", value)
    }

    #[test]
    fn figures_of_a_table_stand_at_their_line_and_column_and_nowhere_else() {
        let rows = [
            cell("idle", "first", 1.0),
            Row::new("whole", "ms", Goal::AtMost(50.0), None),
            cell("idle", "second", 2.0),
            cell("busy", "second", 20.0),
        ];
        assert_eq!(listed(&rows).map(|row| row.what.as_str()).collect::<Vec<_>>(), ["whole"]);
        let tables = tables(&rows);
        assert_eq!(tables.len(), 1);
        assert_eq!(
            tables[0].markdown(),
            "\n| legs | idle | busy |\n|---|---|---|\n| first | 1.00 ms | – |\n| second | 2.00 ms | 20.0 ms |\n"
        );
    }
}
