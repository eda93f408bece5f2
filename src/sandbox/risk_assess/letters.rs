//! Mail that Risk Assess sends by itself: the error report, and the result of a queued import. It goes straight into the sandbox's mailbox.

use lettre::Message;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};

use crate::sandbox::mail::Received;

use super::INTEGRATION_LOGIN;
use super::import::Outcome;
use super::problems::ErrorReport;

const SENDER: &str = "noreply@riskassess.example";

/// The error report, to the Default Site Administrator (S2).
pub(super) fn of_report(report: &ErrorReport, to: &str) -> Received {
    let text = "The attached users could not be synchronized with Coupa.".to_owned();
    let csv = Attachment::new(format!("{}.csv", report.title));
    let parts = MultiPart::mixed()
        .singlepart(SinglePart::plain(text))
        .singlepart(csv.body(report.csv.clone(), csv_type()));
    letter(&report.title, to, parts)
}

/// What came of an import that had waited for its turn (D498: "result by e-mail").
pub(super) fn of_import(outcome: &Outcome) -> Received {
    let text = format!(
        "Users created: {}\r\nUsers updated: {}\r\n{}",
        outcome.made, outcome.changed, outcome.message
    );
    let parts = MultiPart::mixed().singlepart(SinglePart::plain(text));
    letter("Quick Integration: Users", INTEGRATION_LOGIN, parts)
}

fn csv_type() -> ContentType {
    ContentType::parse("text/csv; charset=utf-8").unwrap_or(ContentType::TEXT_PLAIN)
}

fn letter(subject: &str, to: &str, parts: MultiPart) -> Received {
    let mailbox = |text: &str| text.parse().ok().map(|address| Mailbox::new(None, address));
    let mut builder = Message::builder().subject(subject);
    if let Some(from) = mailbox(SENDER) {
        builder = builder.from(from);
    }
    // An administrator without an address that mail can go to gets none; the letter is kept all the same.
    if let Some(to) = mailbox(to) {
        builder = builder.to(to);
    }
    let data = builder.multipart(parts).map(|message| message.formatted());
    Received {
        from: SENDER.to_owned(),
        to: vec![to.to_owned()],
        data: data.unwrap_or_default(),
        tls: false,
        user: None,
        helo: String::new(),
    }
}
