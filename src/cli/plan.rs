//! What a dry run prints: the state before and after, and every request as it would be sent.
//!
//! Bodies may hold personal values; they are for the person who asked for the change.

use std::fmt::Write as _;

use super::plain;
use crate::model::change::{Effect, Plan, PlannedRequest};
use crate::model::journal::Held;

/// The text, ending with a newline.
pub fn render(plan: &Plan) -> String {
    let mut text = String::new();
    let whose = plan
        .user
        .map_or("a new account".to_owned(), |id| format!("user {id}"));
    let _ = writeln!(text, "{whose}: {}", outlook(plan));
    let _ = writeln!(text, "  before: {}", held(&plan.before));
    let _ = writeln!(text, "  after:  {}", held(&plan.after));
    for request in &plan.requests {
        text.push('\n');
        text.push_str(&shown(request));
    }
    if !plan.findings.is_empty() {
        text.push('\n');
    }
    for finding in &plan.findings {
        let _ = writeln!(text, "note: {}", plain(&finding.text));
    }
    text.push_str("\ndry run: nothing was changed\n");
    text
}

const fn outlook(plan: &Plan) -> &'static str {
    match plan.effect {
        Effect::Made if plan.user.is_none() => "would be made",
        Effect::Made => "would be changed",
        Effect::AlreadySo => "is so already; nothing would be sent",
        Effect::Existed => "exists already and would be left as it is",
        Effect::Reactivated => "exists already and would be activated",
    }
}

fn held(held: &Held) -> String {
    match held {
        Held::Ids(ids) if ids.is_empty() => "none".to_owned(),
        Held::Ids(ids) => ids.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
        Held::Flag(true) => "yes".to_owned(),
        Held::Flag(false) => "no".to_owned(),
        Held::Elements(names) => names.join(", "),
        Held::Nothing => "-".to_owned(),
    }
}

fn shown(request: &PlannedRequest) -> String {
    let mut text = String::new();
    if let Some(condition) = request.condition {
        let _ = writeln!(text, "{condition}:");
    }
    let _ = writeln!(text, "{} {}", request.method, request.path);
    if !request.body.is_empty() {
        let pretty = serde_json::from_str::<serde_json::Value>(&request.body)
            .map_or_else(|_| plain(&request.body), |body| format!("{body:#}"));
        let _ = writeln!(text, "{pretty}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::UserId;
    use crate::model::tenant::Finding;

    fn request(method: &'static str, body: &str, condition: Option<&'static str>) -> PlannedRequest {
        PlannedRequest {
            method,
            path: "/api/users/42".into(),
            body: body.into(),
            condition,
        }
    }

    fn plan() -> Plan {
        Plan {
            effect: Effect::Made,
            user: UserId::new(42),
            before: Held::Ids(vec![5, 7]),
            after: Held::Ids(vec![5]),
            requests: vec![
                request("PUT", r#"{"roles":[{"id":5}]}"#, None),
                request("DELETE", "", Some("if the role is still there after that")),
            ],
            findings: vec![Finding {
                text: "role 11 is \u{7}new".into(),
            }],
        }
    }

    #[test]
    fn the_whole_text() {
        let expected = r#"
user 42: would be changed
  before: 5, 7
  after:  5

PUT /api/users/42
{
  "roles": [
    {
      "id": 5
    }
  ]
}

if the role is still there after that:
DELETE /api/users/42

note: role 11 is new

dry run: nothing was changed
"#;
        assert_eq!(format!("\n{}", render(&plan())), expected);
    }

    #[test]
    fn what_is_so_already_sends_nothing() {
        let quiet = Plan {
            effect: Effect::AlreadySo,
            before: Held::Flag(true),
            after: Held::Flag(true),
            requests: Vec::new(),
            findings: Vec::new(),
            ..plan()
        };
        let expected = "
user 42: is so already; nothing would be sent
  before: yes
  after:  yes

dry run: nothing was changed
";
        assert_eq!(format!("\n{}", render(&quiet)), expected);
    }

    #[test]
    fn a_new_account_would_be_made() {
        let new = Plan {
            user: None,
            before: Held::Nothing,
            after: Held::Elements(vec!["login".into(), "email".into()]),
            ..plan()
        };
        let text = render(&new);
        assert!(text.starts_with("a new account: would be made\n"), "{text}");
        assert!(text.contains("after:  login, email"), "{text}");
    }

    #[test]
    fn a_body_obeys_no_terminal() {
        for body in ["\"\u{1b}[2J\"", "{\"a\":\"\\u001b[2J\"}", "not json \u{1b}[2J"] {
            let text = shown(&request("POST", body, None));
            assert!(!text.contains('\u{1b}'), "{text:?}");
        }
    }
}
