//! The rules as `docs/risk-assess.md` lists them.

use std::fmt::Write as _;
use std::path::Path;

use super::super::RULES;

/// The table of `docs/risk-assess.md`.
fn table() -> String {
    let mut table =
        "| id | level | element in Coupa | column | source | what must be so | fix in Coupa |\n|---|---|---|---|---|---|---|\n".to_owned();
    for rule in RULES {
        let column = if rule.column.is_empty() { "-" } else { rule.column };
        let _ = writeln!(
            table,
            "| `{}` | {} | `{}` | {} | {} | {} | {} |",
            rule.id,
            rule.level.name(),
            rule.element,
            column,
            rule.source,
            rule.what,
            rule.fix
        );
    }
    table
}

/// `UPDATE_GOLDEN=1 cargo test golden` writes it anew.
#[test]
fn golden_the_documents_list_every_rule() {
    const MARKS: (&str, &str) = ("<!-- rules: written by a test -->\n", "<!-- end of rules -->\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/risk-assess.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(MARKS.0).expect("the mark before the table");
    let (kept, after) = rest.split_once(MARKS.1).expect("the mark after the table");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, [before, MARKS.0, &table(), MARKS.1, after].concat()).unwrap();
    } else {
        assert!(
            kept == table(),
            "docs/risk-assess.md differs; run with UPDATE_GOLDEN=1 and read the diff. The table is now:\n{}",
            table()
        );
    }
}
