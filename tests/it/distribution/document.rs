//! `docs/connector.mdx`, which the platform publishes for operators: it keeps to what the platform's validator takes, and says
//! nothing that the program does not.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::Value;
use tempfile::TempDir;

use super::{capabilities, is_read, text, variables};
use crate::support::program::{assert_golden, output, program, stderr};

const DOCUMENT: &str = "docs/connector.mdx";

/// The components that the validator knows.
const COMPONENTS: [&str; 12] = [
    "Card", "Check", "Frame", "Icon", "Info", "Note", "Step", "Steps", "Tab", "Tabs", "Tip", "Warning",
];

/// What is between two texts.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("no {start}"));
    rest.split_once(end)
        .unwrap_or_else(|| panic!("no {end} after {start}"))
        .0
}

/// The document without front matter, fenced blocks and inline code.
fn prose(document: &str) -> String {
    let (_, body) = document[3..].split_once("\n---\n").unwrap();
    let without_blocks = Regex::new(r"(?ms)^```.*?^```$").unwrap().replace_all(body, "");
    Regex::new("`[^`\n]*`")
        .unwrap()
        .replace_all(&without_blocks, "")
        .into_owned()
}

/// The cells of the rows of the first table after a heading.
fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, rest) = document.split_once(&format!("{heading}\n")).unwrap();
    let lines = rest
        .lines()
        .map(str::trim)
        .skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        row.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    })
    .collect()
}

/// The inline code of a cell.
fn codes(cell: &str) -> Vec<String> {
    let parts = cell.split('`').skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}

#[test]
fn the_front_matter_is_whole() {
    let document = text(DOCUMENT);
    let matter: Value = serde_saphyr::from_str(between(&document, "---\n", "\n---\n")).unwrap();
    let keys: BTreeSet<_> = matter.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "description",
            "og:description",
            "og:title",
            "sidebarTitle",
            "title"
        ]
        .into()
    );
    for name in ["title", "description"] {
        assert!(!matter[name].as_str().unwrap().is_empty());
        assert_eq!(matter[name], matter[format!("og:{name}")], "the twins are equal");
    }
}

#[test]
fn only_what_the_validator_takes_is_used() {
    let document = text(DOCUMENT);
    let prose = prose(&document);
    assert!(!prose.contains(['{', '}']), "no expressions");
    for line in prose.lines() {
        assert!(
            !line.starts_with("import ") && !line.starts_with("export "),
            "{line}"
        );
    }
    assert!(!prose.contains('`'), "every block and every piece of code ends");
    let tag = Regex::new(r#"<(/?)([A-Za-z]+)((?: [A-Za-z]+="[^"]*")*)\s?(/?)>"#).unwrap();
    assert_eq!(
        prose.matches('<').count(),
        tag.find_iter(&prose).count(),
        "only tags, with texts as attributes"
    );
    let mut open: Vec<String> = Vec::new();
    for found in tag.captures_iter(&prose) {
        let (closing, name, attributes, empty) = (&found[1], &found[2], &found[3], &found[4]);
        assert!(COMPONENTS.contains(&name), "{name}");
        assert!(!attributes.contains(" on"), "no event handlers: {attributes}");
        if !closing.is_empty() {
            assert_eq!(open.pop().as_deref(), Some(name), "it closes what is open");
        } else if empty.is_empty() {
            let inside = open.last().map(String::as_str);
            match name {
                "Step" => assert_eq!(inside, Some("Steps")),
                "Tab" => assert_eq!(inside, Some("Tabs")),
                _ => {}
            }
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty(), "{open:?} stays open");
}

#[test]
fn the_capabilities_are_those_that_the_program_has() {
    let shown: BTreeMap<String, Vec<bool>> = table(&text(DOCUMENT), "## Capabilities")
        .into_iter()
        .map(|row| {
            let marks = row[1..].iter().map(|cell| match cell.as_str() {
                "" => false,
                mark => mark.starts_with("<Icon icon=\"square-check\"") || panic!("{mark}"),
            });
            (row[0].clone(), marks.collect())
        })
        .collect();
    let has: BTreeMap<String, Vec<bool>> = capabilities()["resourceTypeCapabilities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let name = match row["resourceType"]["id"].as_str().unwrap() {
                "user" => "Accounts".to_owned(),
                _ => format!("{}s", row["resourceType"]["displayName"].as_str().unwrap()),
            };
            let can = |one: &str| {
                row["capabilities"]
                    .as_array()
                    .unwrap()
                    .contains(&Value::from(one))
            };
            let changes = can("CAPABILITY_PROVISION") || can("CAPABILITY_ACCOUNT_PROVISIONING");
            (name, vec![can("CAPABILITY_SYNC"), changes])
        })
        .collect();
    assert_eq!(shown, has);
    let whole = capabilities()["connectorCapabilities"].to_string();
    let document = text(DOCUMENT);
    let not_offered = between(&document, "Not offered:", "</Note>");
    for (capability, words) in [
        ("TICKETING", "tickets"),
        ("EVENT_FEED", "event feeds"),
        ("CREDENTIAL_ROTATION", "passwords"),
    ] {
        assert_eq!(
            whole.contains(capability),
            !not_offered.contains(words),
            "{words}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_actions_are_those_that_the_program_has() {
    let folder = TempDir::new().unwrap();
    let mut command = program(&folder);
    command.args(["--sandbox", "--sandbox-users", "60", "--list-action-schemas"]);
    let log = stderr(&output(command).await);
    let line = log.lines().find(|line| line.contains("Action Schemas")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    let schemas: Value = serde_json::from_str(line["schemas"].as_str().unwrap()).unwrap();
    let has: BTreeMap<String, Vec<String>> = schemas
        .as_array()
        .unwrap()
        .iter()
        .map(|schema| {
            let fields = schema["arguments"].as_array().unwrap().iter();
            let fields = fields.map(|field| field["name"].as_str().unwrap().to_owned());
            (schema["name"].as_str().unwrap().to_owned(), fields.collect())
        })
        .collect();
    let shown: BTreeMap<_, _> = table(&text(DOCUMENT), "### Connector actions")
        .into_iter()
        .map(|row| (codes(&row[0]).remove(0), codes(&row[1])))
        .collect();
    assert_eq!(shown, has);
}

#[test]
fn the_scopes_are_those_that_the_program_asks_for() {
    let asked: BTreeSet<String> = capabilities()["resourceTypeCapabilities"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row["permissions"]["permissions"].as_array().unwrap().clone())
        .map(|permission| permission["permission"].as_str().unwrap().to_owned())
        .collect();
    let rows = table(&text(DOCUMENT), "Choose the scopes:");
    let writing = Regex::new(r"\.write$").unwrap();
    let mut shown = BTreeSet::new();
    for row in rows {
        let scope = codes(&row[0]).remove(0);
        // Nobody shall think that reading needs a scope for writing.
        assert_eq!(
            writing.is_match(&scope),
            row[1].starts_with("changes only"),
            "{scope}"
        );
        shown.insert(scope);
    }
    assert_eq!(shown, asked);
    let anywhere = Regex::new(r"\bcore(?:\.[a-z_]+)+").unwrap();
    let document = text(DOCUMENT);
    assert!(
        anywhere
            .find_iter(&document)
            .all(|scope| asked.contains(scope.as_str()))
    );
}

#[test]
fn every_setting_that_is_named_works() {
    let document = text(DOCUMENT);
    let named = variables(&document);
    assert!(named.len() > 10, "{named:?}");
    for name in named {
        assert!(is_read(name), "{name}");
    }
}

#[test]
fn the_fields_of_the_form_have_their_labels() {
    let schema: Value = serde_json::from_str(&text("config_schema.json")).unwrap();
    let fields = schema["fields"].as_array().unwrap();
    let own = |field: &&Value| field["isOps"] != true;
    let labels: BTreeSet<_> = fields
        .iter()
        .filter(own)
        .map(|field| field["displayName"].as_str().unwrap())
        .collect();
    let document = text(DOCUMENT);
    let form = between(&document, "<Tab title=\"Cloud-hosted\">", "</Tab>");
    for field in fields.iter().filter(|field| field["isRequired"] == true) {
        let label = format!("**{}**", field["displayName"].as_str().unwrap());
        assert!(form.contains(&label), "{label}");
    }
    for named in Regex::new(r"(?: as| in) \*\*([^*]+)\*\*")
        .unwrap()
        .captures_iter(form)
    {
        assert!(labels.contains(&named[1]), "{}", &named[1]);
    }
}

/// `UPDATE_GOLDEN=1` puts the files in.
#[test]
fn golden_manifests_are_shown_as_they_are() {
    let document = text(DOCUMENT);
    let block = Regex::new(r"(?ms)^```yaml ([a-z.]+)\n.*?^```$").unwrap();
    let mut shown = BTreeSet::new();
    let expected = block.replace_all(&document, |found: &regex::Captures<'_>| {
        let name = &found[1];
        shown.insert(name.to_owned());
        format!(
            "```yaml {name}\n{}```",
            text(&format!("deploy/kubernetes/{name}"))
        )
    });
    assert_golden(DOCUMENT, &expected);
    let there = std::fs::read_dir(super::place("deploy/kubernetes")).unwrap();
    let there: BTreeSet<_> = there
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(shown, there, "all of them, and no other YAML");
    assert_eq!(document.matches("```yaml").count(), shown.len());
}
