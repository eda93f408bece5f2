//! The journal of changes: a table for a person, and one JSON object per line for machines and archives.
//!
//! Invariant: names of JSON members never change their meaning; new ones may come. Nothing personal is in an entry, so nothing is hidden here;
//! what a terminal would obey is taken out of free texts.

use std::fmt::Write as _;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use jiff::Timestamp;
use serde::Serialize;

use super::plain;
use crate::model::access::Item;
use crate::model::change::RequestId;
use crate::model::id::UserId;
use crate::model::journal::{ClosedBy, Closing, Entry, Held, Stage, Subject};

/// The table, ending with a newline; a sentence if there is nothing.
pub fn table(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "no such entries\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["no.", "opened", "user", "change", "state", "attempts", "findings"]);
    for entry in entries {
        table.add_row(row(entry));
    }
    for column in [0, 2, 5] {
        if let Some(numbers) = table.column_mut(column) {
            numbers.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{}", line.trim_end());
        text
    })
}

fn row(entry: &Entry) -> [String; 7] {
    let state = match &entry.stage {
        Stage::Writing => "open: writing".to_owned(),
        Stage::Clearing { .. } => "open: the list may be empty".to_owned(),
        Stage::NeedsPerson { .. } => "open: needs a person".to_owned(),
        Stage::Closed(closing) => match closing.by {
            ClosedBy::Change => closing.ending.name().to_owned(),
            by => format!("{} (by {})", closing.ending.name(), by.name()),
        },
    };
    let findings = match &entry.stage {
        Stage::Writing | Stage::Clearing { .. } => String::new(),
        Stage::NeedsPerson { reason, .. } => plain(reason),
        Stage::Closed(closing) => plain(&closing.findings.join("; ")),
    };
    [
        entry.id.to_string(),
        entry.opened_at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        user(entry).map(|id| id.to_string()).unwrap_or_default(),
        change(&entry.intent.subject),
        state,
        entry.steps.len().to_string(),
        findings,
    ]
}

/// The account, also one that the change itself made.
fn user(entry: &Entry) -> Option<u64> {
    let closed = match &entry.stage {
        Stage::Closed(closing) => closing.user,
        _ => None,
    };
    closed.or(entry.intent.user).map(UserId::get)
}

fn change(subject: &Subject) -> String {
    let of = |verb: &str, item: &Item| {
        let (kind, id) = names(item);
        format!("{verb} {kind} {id}")
    };
    match subject {
        Subject::Grant(item) => of("grant", item),
        Subject::Revoke(item) => of("revoke", item),
        Subject::SetActive(activity) if activity.is_active() => "activate".to_owned(),
        Subject::SetActive(_) => "deactivate".to_owned(),
        Subject::Update(elements) => format!("update {}", elements.join(", ")),
        Subject::Create { .. } => "create account".to_owned(),
    }
}

fn names(item: &Item) -> (&'static str, String) {
    match item {
        Item::Role(id) => ("role", id.to_string()),
        Item::Group(id) => ("group", id.to_string()),
        Item::License(name) => ("license", name.to_string()),
    }
}

/// Every entry on a line of its own, in full.
pub fn json_lines(entries: &[Entry]) -> Result<String, serde_json::Error> {
    entries.iter().try_fold(String::new(), |mut text, entry| {
        text.push_str(&serde_json::to_string(&Line::of(entry))?);
        text.push('\n');
        Ok(text)
    })
}

/// One entry. What is not known or does not apply is left out; times are RFC 3339 in UTC.
#[derive(Serialize)]
struct Line<'a> {
    id: i64,
    opened_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<&'a str>,
    via: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<u64>,
    change: Named<'a>,
    stage: &'static str,
    before: Value<'a>,
    wanted: Value<'a>,
    attempts: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    cleared: Option<Cleared<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    needs_person: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed: Option<End<'a>>,
    steps: Vec<Request<'a>>,
}

/// What the change is.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Named<'a> {
    Grant { item: &'static str, item_id: String },
    Revoke { item: &'static str, item_id: String },
    Activate,
    Deactivate,
    Update { elements: &'a [String] },
    CreateAccount { login_digest: &'a str },
}

/// What an element holds: `{"ids":[1,2]}`, `{"flag":true}`, `{"elements":["login"]}` or `null`.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Value<'a> {
    Ids(&'a [u64]),
    Flag(bool),
    Elements(&'a [String]),
    #[serde(untagged)]
    Nothing,
}

/// The list right before it was cleared.
#[derive(Serialize)]
struct Cleared<'a> {
    full: &'a [u64],
    #[serde(skip_serializing_if = "Option::is_none")]
    read_at: Option<Timestamp>,
}

/// How it ended.
#[derive(Serialize)]
struct End<'a> {
    at: Timestamp,
    ending: &'static str,
    by: &'static str,
    after: Value<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    empty_ms: Option<u64>,
    findings: &'a [String],
}

/// One request that wrote.
#[derive(Serialize)]
struct Request<'a> {
    at: Timestamp,
    call: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn of(entry: &'a Entry) -> Self {
        let intent = &entry.intent;
        Self {
            id: entry.id.0,
            opened_at: entry.opened_at,
            request: intent.request.as_ref().map(RequestId::as_str),
            via: intent.via.name(),
            user: user(entry),
            change: Named::of(&intent.subject),
            stage: stage(&entry.stage),
            before: Value::of(&intent.before),
            wanted: Value::of(&intent.wanted),
            attempts: entry.steps.len(),
            cleared: cleared(&entry.stage),
            needs_person: match &entry.stage {
                Stage::NeedsPerson { reason, .. } => Some(reason),
                Stage::Writing | Stage::Clearing { .. } | Stage::Closed(_) => None,
            },
            closed: match &entry.stage {
                Stage::Closed(closing) => Some(End::of(closing)),
                Stage::Writing | Stage::Clearing { .. } | Stage::NeedsPerson { .. } => None,
            },
            steps: entry
                .steps
                .iter()
                .map(|step| Request {
                    at: step.at,
                    call: &step.call,
                    end: step.end.as_deref(),
                })
                .collect(),
        }
    }
}

const fn stage(stage: &Stage) -> &'static str {
    match stage {
        Stage::Writing => "writing",
        Stage::Clearing { .. } => "clearing",
        Stage::NeedsPerson { .. } => "needs-person",
        Stage::Closed(_) => "closed",
    }
}

fn cleared(stage: &Stage) -> Option<Cleared<'_>> {
    match stage {
        Stage::Clearing { full, read_at } => Some(Cleared {
            full,
            read_at: Some(*read_at),
        }),
        Stage::NeedsPerson { full: Some(full), .. } => Some(Cleared { full, read_at: None }),
        Stage::NeedsPerson { full: None, .. } | Stage::Writing | Stage::Closed(_) => None,
    }
}

impl<'a> Named<'a> {
    fn of(subject: &'a Subject) -> Self {
        match subject {
            Subject::Grant(item) => {
                let (item, item_id) = names(item);
                Self::Grant { item, item_id }
            }
            Subject::Revoke(item) => {
                let (item, item_id) = names(item);
                Self::Revoke { item, item_id }
            }
            Subject::SetActive(activity) if activity.is_active() => Self::Activate,
            Subject::SetActive(_) => Self::Deactivate,
            Subject::Update(elements) => Self::Update { elements },
            Subject::Create { login_digest } => Self::CreateAccount { login_digest },
        }
    }
}

impl<'a> Value<'a> {
    fn of(held: &'a Held) -> Self {
        match held {
            Held::Ids(ids) => Self::Ids(ids),
            Held::Flag(flag) => Self::Flag(*flag),
            Held::Elements(names) => Self::Elements(names),
            Held::Nothing => Self::Nothing,
        }
    }
}

impl<'a> End<'a> {
    fn of(closing: &'a Closing) -> Self {
        Self {
            at: closing.at,
            ending: closing.ending.name(),
            by: closing.by.name(),
            after: Value::of(&closing.after),
            window_ms: closing.window_ms,
            empty_ms: closing.empty_ms,
            findings: &closing.findings,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::change::{Activity, Via};
    use crate::model::journal::{Ending, EntryId, Intent, Step};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_780_000_000 + second).unwrap()
    }

    fn entry(id: i64, subject: Subject, stage: Stage) -> Entry {
        Entry {
            id: EntryId(id),
            opened_at: at(id),
            intent: Intent {
                request: Some("2wPbMEhC".parse().unwrap()),
                via: Via::Grpc,
                user: "42".parse().ok(),
                subject,
                before: Held::Ids(vec![5, 7, 9]),
                wanted: Held::Ids(vec![5, 9]),
            },
            stage,
            steps: vec![Step {
                at: at(id),
                call: "put roles".into(),
                end: Some("accepted".into()),
            }],
        }
    }

    fn closing(by: ClosedBy, findings: &[&str]) -> Closing {
        Closing {
            at: at(60),
            ending: Ending::Made,
            by,
            user: "42".parse().ok(),
            after: Held::Ids(vec![5, 9]),
            window_ms: Some(120),
            empty_ms: Some(80),
            findings: findings.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    fn entries() -> Vec<Entry> {
        let role = || Item::Role("7".parse().unwrap());
        let license = Item::License("risk-assess-user".parse().unwrap());
        let mut created = entry(
            4,
            Subject::Create {
                login_digest: "ab12".into(),
            },
            Stage::Closed(closing(ClosedBy::Recovery, &[])),
        );
        created.intent = Intent {
            request: None,
            user: None,
            before: Held::Nothing,
            wanted: Held::Elements(vec!["login".into()]),
            ..created.intent
        };
        let mut under_way = entry(5, Subject::Grant(license), Stage::Writing);
        under_way.intent.before = Held::Flag(false);
        under_way.intent.wanted = Held::Flag(true);
        under_way.steps[0].end = None;
        vec![
            entry(
                1,
                Subject::Revoke(role()),
                Stage::Closed(closing(ClosedBy::Change, &["role 11 appeared", "\u{1b}[2Jkept"])),
            ),
            entry(
                2,
                Subject::Revoke(role()),
                Stage::Clearing {
                    full: vec![5, 7, 9],
                    read_at: at(3),
                },
            ),
            entry(
                3,
                Subject::SetActive(Activity::Inactive),
                Stage::NeedsPerson {
                    reason: "roles 5 and 9 are gone".into(),
                    full: Some(vec![5, 7, 9]),
                },
            ),
            created,
            under_way,
            entry(
                6,
                Subject::Update(vec!["manager".into(), "email".into()]),
                Stage::Writing,
            ),
        ]
    }

    #[test]
    fn the_whole_table() {
        let expected = "
 no.  opened                user  change                          state                        attempts  findings
   1  2026-05-28 20:26:41Z    42  revoke role 7                   made                                1  role 11 appeared; [2Jkept
   2  2026-05-28 20:26:42Z    42  revoke role 7                   open: the list may be empty         1
   3  2026-05-28 20:26:43Z    42  deactivate                      open: needs a person                1  roles 5 and 9 are gone
   4  2026-05-28 20:26:44Z    42  create account                  made (by recovery)                  1
   5  2026-05-28 20:26:45Z    42  grant license risk-assess-user  open: writing                       1
   6  2026-05-28 20:26:46Z    42  update manager, email           open: writing                       1
";
        assert_eq!(format!("\n{}", table(&entries())), expected);
        assert_eq!(table(&[]), "no such entries\n");
    }

    #[test]
    fn lines_have_stable_names() {
        let text = json_lines(&entries()).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            lines[0],
            serde_json::json!({
                "id": 1, "opened_at": "2026-05-28T20:26:41Z", "request": "2wPbMEhC", "via": "grpc", "user": 42,
                "change": {"kind": "revoke", "item": "role", "item_id": "7"}, "stage": "closed",
                "before": {"ids": [5, 7, 9]}, "wanted": {"ids": [5, 9]}, "attempts": 1,
                "closed": {"at": "2026-05-28T20:27:40Z", "ending": "made", "by": "change", "after": {"ids": [5, 9]},
                    "window_ms": 120, "empty_ms": 80, "findings": ["role 11 appeared", "\u{1b}[2Jkept"]},
                "steps": [{"at": "2026-05-28T20:26:41Z", "call": "put roles", "end": "accepted"}],
            })
        );
        assert_eq!(
            lines[1]["cleared"],
            serde_json::json!({"full": [5, 7, 9], "read_at": "2026-05-28T20:26:43Z"})
        );
        assert_eq!(
            (&lines[2]["change"], &lines[2]["needs_person"]),
            (
                &serde_json::json!({"kind": "deactivate"}),
                &"roles 5 and 9 are gone".into()
            )
        );
        assert_eq!(
            lines[3]["change"],
            serde_json::json!({"kind": "create_account", "login_digest": "ab12"})
        );
        assert_eq!(
            (&lines[3]["before"], &lines[3]["wanted"], &lines[3]["user"]),
            (
                &serde_json::Value::Null,
                &serde_json::json!({"elements": ["login"]}),
                &42.into()
            )
        );
        assert_eq!(
            (&lines[4]["wanted"], &lines[4]["steps"][0]),
            (
                &serde_json::json!({"flag": true}),
                &serde_json::json!({"at": "2026-05-28T20:26:45Z", "call": "put roles"})
            )
        );
        assert_eq!(
            lines[5]["change"],
            serde_json::json!({"kind": "update", "elements": ["manager", "email"]})
        );
    }
}
