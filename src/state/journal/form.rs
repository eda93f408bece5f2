//! The form in which entries of the journal lie in the database. Names are part of the file's format: they stay as they are.
//!
//! What an entry says is a handful of sums (subject, held, stage); each is one JSON text, so that it is there whole or not at all,
//! one column holds every variant, and a person with a plain SQLite shell can read it. What is searched by is a column of its own.
//!
//! Invariant: what is written comes back equal; a name that this version does not know is an error, never a guess.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::access::Item;
use crate::model::change::{Activity, Via};
use crate::model::id::{GroupId, RoleId, UserId};
use crate::model::journal::{ClosedBy, Closing, Ending, Entry, EntryId, Held, Intent, Stage, Step, Subject};
use crate::state::form::{Unreadable, from_json, named, parse};

/// One row of the table of entries.
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) opened_at: String,
    pub(super) request: Option<String>,
    pub(super) via: String,
    pub(super) user: Option<String>,
    pub(super) subject: String,
    pub(super) before: String,
    pub(super) wanted: String,
    pub(super) stage: String,
}

impl Row {
    /// The entry, with its steps.
    pub(super) fn entry(self, steps: Vec<Step>) -> Result<Entry, Unreadable> {
        let intent = Intent {
            request: self.request.map(|text| parse("request", &text)).transpose()?,
            via: named("via", &self.via, &Via::ALL, Via::name)?,
            user: self.user.map(|text| parse("user", &text)).transpose()?,
            subject: subject(from_json("subject", &self.subject)?)?,
            before: held(from_json("before", &self.before)?),
            wanted: held(from_json("wanted", &self.wanted)?),
        };
        Ok(Entry {
            id: EntryId(self.id),
            opened_at: parse("opened_at", &self.opened_at)?,
            intent,
            stage: stage(from_json("stage", &self.stage)?)?,
            steps,
        })
    }
}

/// One step.
pub(super) fn step(at: &str, call: String, end: Option<String>) -> Result<Step, Unreadable> {
    Ok(Step {
        at: parse("step", at)?,
        call,
        end,
    })
}

/// The text of what is wanted.
pub(super) fn subject_text(subject: &Subject) -> serde_json::Result<String> {
    serde_json::to_string(&match subject {
        Subject::Grant(item) => SubjectForm::Grant(item_form(item)),
        Subject::Revoke(item) => SubjectForm::Revoke(item_form(item)),
        Subject::SetActive(Activity::Active) => SubjectForm::SetActive(ActivityForm::Active),
        Subject::SetActive(Activity::Inactive) => SubjectForm::SetActive(ActivityForm::Inactive),
        Subject::Update(names) => SubjectForm::Update(names.into()),
        Subject::Create { login_digest } => SubjectForm::Create {
            login_digest: login_digest.into(),
        },
    })
}

/// The text of what an element holds.
pub(super) fn held_text(held: &Held) -> serde_json::Result<String> {
    serde_json::to_string(&held_form(held))
}

/// The text of a stage.
pub(super) fn stage_text(stage: &Stage) -> serde_json::Result<String> {
    serde_json::to_string(&match stage {
        Stage::Writing => StageForm::Writing,
        Stage::Clearing { full, read_at } => StageForm::Clearing {
            full: full.into(),
            read_at: *read_at,
        },
        Stage::NeedsPerson { reason, full } => StageForm::NeedsPerson {
            reason: reason.into(),
            full: full.as_ref().map(Cow::from),
        },
        Stage::Closed(closing) => StageForm::Closed(ClosingForm {
            at: closing.at,
            ending: closing.ending.name().into(),
            by: closing.by.name().into(),
            user: closing.user.map(UserId::get),
            after: held_form(&closing.after),
            window_ms: closing.window_ms,
            empty_ms: closing.empty_ms,
            findings: (&closing.findings).into(),
        }),
    })
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ItemForm<'a> {
    Role(u64),
    Group(u64),
    License(Cow<'a, str>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ActivityForm {
    Active,
    Inactive,
}

#[derive(Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
enum SubjectForm<'a> {
    Grant(ItemForm<'a>),
    Revoke(ItemForm<'a>),
    SetActive(ActivityForm),
    Update(Cow<'a, [String]>),
    Create { login_digest: Cow<'a, str> },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum HeldForm<'a> {
    Ids(Cow<'a, [u64]>),
    Flag(bool),
    Elements(Cow<'a, [String]>),
    Nothing,
}

#[derive(Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
enum StageForm<'a> {
    Writing,
    Clearing {
        full: Cow<'a, [u64]>,
        read_at: Timestamp,
    },
    NeedsPerson {
        reason: Cow<'a, str>,
        full: Option<Cow<'a, [u64]>>,
    },
    Closed(ClosingForm<'a>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ClosingForm<'a> {
    at: Timestamp,
    ending: Cow<'a, str>,
    by: Cow<'a, str>,
    user: Option<u64>,
    after: HeldForm<'a>,
    window_ms: Option<u64>,
    empty_ms: Option<u64>,
    findings: Cow<'a, [String]>,
}

fn item_form(item: &Item) -> ItemForm<'_> {
    match item {
        Item::Role(id) => ItemForm::Role(id.get()),
        Item::Group(id) => ItemForm::Group(id.get()),
        Item::License(name) => ItemForm::License(name.as_str().into()),
    }
}

fn held_form(held: &Held) -> HeldForm<'_> {
    match held {
        Held::Ids(ids) => HeldForm::Ids(ids.into()),
        Held::Flag(on) => HeldForm::Flag(*on),
        Held::Elements(names) => HeldForm::Elements(names.into()),
        Held::Nothing => HeldForm::Nothing,
    }
}

fn item(form: ItemForm<'_>) -> Result<Item, Unreadable> {
    let strange = || Unreadable::of("subject", "0 is no id");
    Ok(match form {
        ItemForm::Role(id) => Item::Role(RoleId::new(id).ok_or_else(strange)?),
        ItemForm::Group(id) => Item::Group(GroupId::new(id).ok_or_else(strange)?),
        ItemForm::License(name) => Item::License(parse("subject", &name)?),
    })
}

fn subject(form: SubjectForm<'_>) -> Result<Subject, Unreadable> {
    Ok(match form {
        SubjectForm::Grant(form) => Subject::Grant(item(form)?),
        SubjectForm::Revoke(form) => Subject::Revoke(item(form)?),
        SubjectForm::SetActive(ActivityForm::Active) => Subject::SetActive(Activity::Active),
        SubjectForm::SetActive(ActivityForm::Inactive) => Subject::SetActive(Activity::Inactive),
        SubjectForm::Update(names) => Subject::Update(names.into_owned()),
        SubjectForm::Create { login_digest } => Subject::Create {
            login_digest: login_digest.into_owned(),
        },
    })
}

fn held(form: HeldForm<'_>) -> Held {
    match form {
        HeldForm::Ids(ids) => Held::Ids(ids.into_owned()),
        HeldForm::Flag(on) => Held::Flag(on),
        HeldForm::Elements(names) => Held::Elements(names.into_owned()),
        HeldForm::Nothing => Held::Nothing,
    }
}

fn stage(form: StageForm<'_>) -> Result<Stage, Unreadable> {
    Ok(match form {
        StageForm::Writing => Stage::Writing,
        StageForm::Clearing { full, read_at } => Stage::Clearing {
            full: full.into_owned(),
            read_at,
        },
        StageForm::NeedsPerson { reason, full } => Stage::NeedsPerson {
            reason: reason.into_owned(),
            full: full.map(Cow::into_owned),
        },
        StageForm::Closed(form) => Stage::Closed(closing(form)?),
    })
}

fn closing(form: ClosingForm<'_>) -> Result<Closing, Unreadable> {
    let user = |id| UserId::new(id).ok_or_else(|| Unreadable::of("stage", "0 is no id"));
    Ok(Closing {
        at: form.at,
        ending: named("ending", &form.ending, &Ending::ALL, Ending::name)?,
        by: named("by", &form.by, &ClosedBy::ALL, ClosedBy::name)?,
        user: form.user.map(user).transpose()?,
        after: held(form.after),
        window_ms: form.window_ms,
        empty_ms: form.empty_ms,
        findings: form.findings.into_owned(),
    })
}
