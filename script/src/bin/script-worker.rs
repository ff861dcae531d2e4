//! The process in which scripts run, for the tests here: `deliver` is the same to itself.

fn main() -> std::io::Result<()> {
    script::serve(std::io::stdin().lock(), std::io::stdout().lock())
}
