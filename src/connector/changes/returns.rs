//! Schemas of what actions give back.
//!
//! Invariant: every field that an action's values may hold is here, by the same name.

use crate::proto::config;

/// What actions that change something give back.
pub(super) fn change_fields() -> Vec<config::Field> {
    vec![
        switch("success", "Success", "Whether the account is as asked for"),
        switch("changed", "Changed", "Whether it was not so before"),
        texts("findings", "Findings", "What a person should know"),
    ]
}

/// What the judgement of a user gives back.
pub(super) fn readiness_fields() -> Vec<config::Field> {
    vec![
        switch("success", "Success", "Whether the user was judged"),
        text(
            "worst",
            "Worst level",
            "The heaviest remark: error, warn, info or none",
        ),
        texts("rules", "Rules", "Ids of the rules that remarked something"),
        texts(
            "remarks",
            "Remarks",
            "What was found and what to do, without values",
        ),
    ]
}

/// What actions about the account downstream give back.
pub(super) fn status_fields() -> Vec<config::Field> {
    vec![
        switch("success", "Success", "Whether the ledger could be asked"),
        switch("known", "Known", "Whether the ledger knows the account"),
        text(
            "claim",
            "Claim",
            "What can be said of the account, in one sentence",
        ),
        text("expectation", "Expectation", "What the documented sync comes to"),
        text("standing", "Standing", "How far that is shown"),
        text("evidence", "Evidence", "By what"),
        text("since", "Since", "Since when"),
        text("read_at", "Read at", "When the user was last read in Coupa"),
        text(
            "link",
            "Link",
            "By what a grid export showed the account to be the user's",
        ),
        text("link_grid", "Grid", "The day of that grid"),
        texts("problems", "Problems", "What a person has to look at"),
    ]
}

fn switch(name: &str, title: &str, description: &str) -> config::Field {
    field(
        name,
        title,
        description,
        config::field::Field::BoolField(config::BoolField::default()),
    )
}

fn text(name: &str, title: &str, description: &str) -> config::Field {
    field(
        name,
        title,
        description,
        config::field::Field::StringField(config::StringField::default()),
    )
}

fn texts(name: &str, title: &str, description: &str) -> config::Field {
    let list = config::field::Field::StringSliceField(config::StringSliceField::default());
    field(name, title, description, list)
}

fn field(name: &str, title: &str, description: &str, field: config::field::Field) -> config::Field {
    config::Field {
        name: name.to_owned(),
        display_name: title.to_owned(),
        description: description.to_owned(),
        field: Some(field),
        ..config::Field::default()
    }
}
