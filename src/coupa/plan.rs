//! The decision how to read users, made from a sample of the same id range over both surfaces. Pure.
//!
//! Two surfaces are equal until the sample says otherwise. The fuller one leads: the one in order of ids, then the one that shows
//! more users, more memberships, more flags, more profile. On a tie REST leads, because its order and its page size are documented
//! and GraphQL's are not. What only the other surface shows is borrowed from there, page by page.
//!
//! Invariant: every element of a user is read from exactly one surface, and never from one that the sample shows to be poorer in it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::access::{Access, LicenseCatalog};
use crate::model::id::UserId;

use super::licenses::{self, CLASS_FLAGS};
use super::trouble::Surface;
use super::wire::{ACTIVE, Field, Flag, List, Plain, UserRow};

/// One value for each surface.
#[derive(Debug, Default)]
pub(crate) struct Each<T> {
    pub(crate) rest: T,
    pub(crate) graphql: T,
}

impl<T> Each<T> {
    pub(crate) const fn on(&self, surface: Surface) -> &T {
        match surface {
            Surface::Rest => &self.rest,
            Surface::Graphql => &self.graphql,
        }
    }
}

/// The first users, as one surface shows them.
pub(crate) struct Sample {
    /// What was asked for.
    pub(crate) asked: BTreeSet<Field>,
    /// Rows by id; of two with one id the later.
    rows: BTreeMap<u64, UserRow>,
    /// Number of rows as they came.
    pub(crate) len: usize,
    /// Whether they came in order of ids.
    pub(crate) ordered: bool,
}

impl Sample {
    pub(crate) fn new(asked: impl IntoIterator<Item = Field>, rows: Vec<UserRow>) -> Self {
        Self {
            asked: asked.into_iter().collect(),
            len: rows.len(),
            ordered: rows.is_sorted_by_key(|row| row.id),
            rows: rows.into_iter().map(|row| (row.id, row)).collect(),
        }
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = u64> {
        self.rows.keys().copied()
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &UserRow> {
        self.rows.values()
    }

    pub(crate) fn last(&self) -> Option<u64> {
        self.rows.keys().next_back().copied()
    }

    /// The longest nested list, and whose it is.
    pub(crate) fn longest(&self) -> Option<(u64, List, usize)> {
        let lengths = self
            .rows()
            .flat_map(|row| List::ALL.map(|list| (row.id, list, row.list(list).map_or(0, <[u64]>::len))));
        lengths.max_by_key(|(_, _, length)| *length)
    }

    /// How much the sample tells about `field`: in how many rows, and how much in them.
    fn weight(&self, field: &Field) -> (usize, usize) {
        let told = self.rows().filter(|row| row.tells(field));
        let much = |row: &UserRow| match field {
            Field::Plain(_) | Field::Object(_) => 0,
            Field::List(list) => row.list(*list).map_or(0, <[u64]>::len),
            Field::Flag(name) => usize::from(row.flag(name) == Flag::True),
        };
        told.fold((0, 0), |(rows, sum), row| (rows + 1, sum + much(row)))
    }

    fn tells(&self, field: &Field) -> bool {
        self.rows().any(|row| row.tells(field))
    }

    /// The sample cut to some users.
    fn only(&self, ids: &BTreeSet<u64>) -> Self {
        let rows: BTreeMap<u64, UserRow> = self
            .rows
            .iter()
            .filter(|(id, _)| ids.contains(id))
            .map(|(id, row)| (*id, row.clone()))
            .collect();
        Self {
            asked: self.asked.clone(),
            len: rows.len(),
            ordered: self.ordered,
            rows,
        }
    }
}

/// What the users of the samples hold as far as either surface shows it; what cannot be understood is left out.
pub(crate) fn seen(samples: &Each<Option<Sample>>, catalog: &LicenseCatalog) -> Vec<(UserId, Access)> {
    let rows = [&samples.rest, &samples.graphql].into_iter().flatten();
    rows.flat_map(Sample::rows)
        .filter_map(|row| Some((UserId::new(row.id)?, row.access(catalog).ok()?)))
        .collect()
}

/// Everything read of a user but the id, given the license flags.
pub(crate) fn wanted<'a>(licenses: impl IntoIterator<Item = &'a str>) -> Vec<Field> {
    let flags = std::iter::once(ACTIVE).chain(CLASS_FLAGS).chain(licenses);
    Plain::LISTED
        .into_iter()
        .map(Field::Plain)
        .chain(List::ALL.into_iter().map(Field::List))
        .chain(flags.map(|name| Field::Flag(name.into())))
        .collect()
}

/// The license flags this tenant shows: described by the schema as flags, standing in a whole REST object, or with a value in a
/// sample.
pub(crate) fn license_names(
    described: &BTreeSet<Box<str>>,
    whole: Option<&UserRow>,
    samples: &Each<Option<Sample>>,
) -> BTreeSet<Box<str>> {
    let mut names: BTreeSet<Box<str>> = described
        .iter()
        .filter(|name| licenses::is_license(name))
        .cloned()
        .collect();
    let mut see = |row: &UserRow, in_whole_object: bool| {
        for (name, flag) in row.flags().filter(|(name, _)| licenses::is_license(name)) {
            let shown = match flag {
                Flag::True | Flag::False => true,
                // A key that stands there without a value: a license only if a document says so.
                Flag::Null => in_whole_object && licenses::is_known(name),
                Flag::Odd => licenses::is_known(name),
            };
            if shown {
                names.insert(name.into());
            }
        }
    };
    if let Some(row) = whole {
        see(row, true);
    }
    for sample in [&samples.rest, &samples.graphql].into_iter().flatten() {
        sample.rows().for_each(|row| see(row, false));
    }
    names
}

/// What is read where when one surface leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) lead: Surface,
    /// Read from the lead.
    pub(crate) own: Vec<Field>,
    /// Read from the other surface.
    pub(crate) borrowed: Vec<Field>,
}

impl Layout {
    /// The surface a nested list is read from.
    pub(crate) fn source(&self, list: List) -> Surface {
        if self.borrowed.contains(&Field::List(list)) {
            self.lead.other()
        } else {
            self.lead
        }
    }
}

/// The layout in which `lead` leads.
pub(crate) fn layout(lead: Surface, wanted: &[Field], samples: &Each<Option<Sample>>) -> Layout {
    let mut layout = Layout {
        lead,
        own: Vec::new(),
        borrowed: Vec::new(),
    };
    let (own, other) = (samples.on(lead).as_ref(), samples.on(lead.other()).as_ref());
    let common = common_ids(samples);
    let (own, other) = (own.map(|s| s.only(&common)), other.map(|s| s.only(&common)));
    for field in wanted {
        let asked_here = own.as_ref().is_none_or(|sample| sample.asked.contains(field));
        let borrow = other.as_ref().is_some_and(|other| {
            other.tells(field) && (!asked_here || own.as_ref().is_some_and(|own| poorer(own, other, field)))
        });
        if borrow {
            layout.borrowed.push(field.clone());
        } else if asked_here {
            layout.own.push(field.clone());
        }
    }
    layout
}

/// Whether the first sample is so much poorer in `field` that it is not to be read there.
fn poorer(own: &Sample, other: &Sample, field: &Field) -> bool {
    let (own, other) = (own.weight(field), other.weight(field));
    match field {
        // Memberships decide which surface leads; here only a list that is not shown at all counts.
        Field::Plain(_) | Field::List(_) | Field::Object(_) => own.0 == 0 && other.0 > 0,
        Field::Flag(_) => (own.0 == 0 && other.0 > 0) || other.1 > own.1,
    }
}

/// The ids both samples show; all of them where there is one sample only.
fn common_ids(samples: &Each<Option<Sample>>) -> BTreeSet<u64> {
    match (&samples.rest, &samples.graphql) {
        (Some(rest), Some(graphql)) => {
            let graphql: BTreeSet<u64> = graphql.ids().collect();
            rest.ids().filter(|id| graphql.contains(id)).collect()
        }
        (Some(one), None) | (None, Some(one)) => one.ids().collect(),
        (None, None) => BTreeSet::new(),
    }
}

/// The surfaces that work, the fuller one first. `trusted` says whose order was never seen broken.
pub(crate) fn preference(
    wanted: &[Field],
    samples: &Each<Option<Sample>>,
    trusted: impl Fn(Surface) -> bool,
) -> Vec<Surface> {
    let common = common_ids(samples);
    let spans = spans(samples);
    let mut ranked: Vec<_> = [Surface::Rest, Surface::Graphql]
        .into_iter()
        .filter_map(|surface| {
            let sample = samples.on(surface).as_ref()?;
            let shared = sample.only(&common);
            let sum = |kind: fn(&Field) -> bool| -> (usize, usize) {
                let fields = wanted.iter().filter(|field| kind(field));
                fields.fold((0, 0), |(told, sum), field| {
                    let weight = shared.weight(field);
                    (told + usize::from(weight.0 > 0), sum + weight.1)
                })
            };
            let (_, memberships) = sum(|field| matches!(field, Field::List(_)));
            let flags = sum(|field| matches!(field, Field::Flag(_)));
            let (profile, _) = sum(|field| matches!(field, Field::Plain(_)));
            let ordered = sample.ordered && trusted(surface);
            let users = spans.on(surface).len();
            Some(((ordered, users, memberships, flags, profile), surface))
        })
        .collect();
    // Stable: on a tie REST stays first.
    ranked.sort_by_key(|(worth, _)| std::cmp::Reverse(*worth));
    ranked.into_iter().map(|(_, surface)| surface).collect()
}

/// The ids each sample shows in the range both cover.
fn spans(samples: &Each<Option<Sample>>) -> Each<BTreeSet<u64>> {
    let all = |sample: &Option<Sample>| sample.iter().flat_map(Sample::ids).collect::<BTreeSet<u64>>();
    let (rest, graphql) = (all(&samples.rest), all(&samples.graphql));
    let ordered = [&samples.rest, &samples.graphql]
        .into_iter()
        .flatten()
        .all(|sample| sample.ordered);
    match (rest.last(), graphql.last()) {
        (Some(a), Some(b)) if ordered => {
            let end = *a.min(b);
            let cut = |ids: &BTreeSet<u64>| ids.range(..=end).copied().collect();
            Each {
                rest: cut(&rest),
                graphql: cut(&graphql),
            }
        }
        // Without order a page is no range: compare only who is on both.
        (Some(_), Some(_)) => Each {
            rest: rest.intersection(&graphql).copied().collect(),
            graphql: rest.intersection(&graphql).copied().collect(),
        },
        _ => Each { rest, graphql },
    }
}

/// What a surface means by `null` in place of a nested list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum NullMeans {
    /// Not seen yet.
    #[default]
    Unknown,
    /// Empty: another way of reading agreed.
    Empty,
    /// Nothing: another way of reading showed entries.
    Nothing,
}

impl NullMeans {
    /// What one more comparison adds: `other` is the same list of the same user, read in another way (`None` is `null` again).
    pub(crate) const fn learn(self, other: Option<&[u64]>) -> Self {
        match (self, other) {
            (Self::Nothing, _) => Self::Nothing,
            (_, None | Some([])) => Self::Empty,
            (_, Some(_)) => Self::Nothing,
        }
    }
}

/// Whether a sample shows the list of anybody.
pub(crate) fn shows(list: List, samples: &Each<Option<Sample>>) -> bool {
    let mut both = [&samples.rest, &samples.graphql].into_iter().flatten();
    both.any(|sample| sample.tells(&Field::List(list)))
}

/// What the samples say about `null` for `list` on `surface`.
pub(crate) fn null_means(surface: Surface, list: List, samples: &Each<Option<Sample>>) -> NullMeans {
    let field = Field::List(list);
    let (Some(own), Some(other)) = (samples.on(surface), samples.on(surface.other())) else {
        return NullMeans::Unknown;
    };
    // If nobody's list is shown, null may as well mean that it must not be seen.
    if !other.asked.contains(&field) || !shows(list, samples) {
        return NullMeans::Unknown;
    }
    own.rows()
        .filter(|row| row.list(list).is_none())
        .filter_map(|row| other.rows.get(&row.id))
        .fold(NullMeans::Unknown, |known, row| known.learn(row.list(list)))
}

/// What differs between the surfaces, in words; numeric ids only.
pub(crate) fn differences(lead: &Layout, wanted: &[Field], samples: &Each<Option<Sample>>) -> Vec<String> {
    let (Some(rest), Some(graphql)) = (&samples.rest, &samples.graphql) else {
        return Vec::new();
    };
    let mut texts = Vec::new();
    let spans = spans(samples);
    for (surface, mine, others) in [
        (Surface::Rest, &spans.rest, &spans.graphql),
        (Surface::Graphql, &spans.graphql, &spans.rest),
    ] {
        let alone: Vec<u64> = mine.difference(others).copied().collect();
        if let Some(example) = alone.first() {
            let count = alone.len();
            texts.push(format!(
                "{count} of the first users are shown over {surface} only (for instance user {example}); {} serves the listing",
                lead.lead
            ));
        }
    }
    for (surface, sample) in [(Surface::Rest, rest), (Surface::Graphql, graphql)] {
        if !sample.ordered {
            texts.push(format!("users over {surface} do not come in order of their ids"));
        }
    }
    for field in wanted {
        texts.extend(difference(lead, field, rest, graphql));
    }
    texts
}

fn difference(lead: &Layout, field: &Field, rest: &Sample, graphql: &Sample) -> Option<String> {
    let name = field.name();
    if lead.borrowed.contains(field) {
        return Some(format!(
            "{name} is read over {}, which shows more of it",
            lead.lead.other()
        ));
    }
    if matches!(field, Field::Plain(_) | Field::Object(_)) {
        return None;
    }
    let both = rest
        .rows()
        .filter_map(|row| Some((row, graphql.rows.get(&row.id)?)));
    let unequal: Vec<u64> = both
        .filter(|(a, b)| match field {
            Field::List(list) => as_set(a.list(*list)) != as_set(b.list(*list)),
            Field::Flag(flag) => (a.flag(flag) == Flag::True) != (b.flag(flag) == Flag::True),
            Field::Plain(_) | Field::Object(_) => false,
        })
        .map(|(row, _)| row.id)
        .collect();
    let example = unequal.first()?;
    Some(format!(
        "{name} differs between REST and GraphQL for {} of the first users (for instance user {example}); {} is believed",
        unequal.len(),
        lead.lead
    ))
}

fn as_set(list: Option<&[u64]>) -> BTreeSet<u64> {
    list.unwrap_or_default().iter().copied().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use serde_json::{Value, json};

    use super::*;

    fn row(value: Value) -> UserRow {
        serde_json::from_value(value).unwrap()
    }

    fn fields() -> Vec<Field> {
        wanted(["risk-assess-user", "travel-user"])
    }

    fn sample(rows: Vec<Value>) -> Sample {
        Sample::new(fields(), rows.into_iter().map(row).collect())
    }

    fn both(rest: Vec<Value>, graphql: Vec<Value>) -> Each<Option<Sample>> {
        Each {
            rest: Some(sample(rest)),
            graphql: Some(sample(graphql)),
        }
    }

    fn user(id: u64) -> Value {
        json!({"id": id, "login": "a", "active": true, "roles": [{"id": 1}], "user-groups": [],
               "risk-assess-user": true, "travel-user": false})
    }

    fn with(id: u64, key: &str, value: Value) -> Value {
        let mut user = user(id);
        user[key] = value;
        user
    }

    fn lead(samples: &Each<Option<Sample>>) -> Surface {
        preference(&fields(), samples, |_| true)[0]
    }

    fn flag(name: &str) -> Field {
        Field::Flag(name.into())
    }

    #[test]
    fn equals_go_to_rest() {
        let samples = both(vec![user(1), user(2)], vec![user(1), user(2)]);
        assert_eq!(
            preference(&fields(), &samples, |_| true),
            [Surface::Rest, Surface::Graphql]
        );
        let layout = layout(Surface::Rest, &fields(), &samples);
        assert!(layout.borrowed.is_empty());
        assert_eq!(layout.own, fields());
        assert!(differences(&layout, &fields(), &samples).is_empty());
    }

    #[test]
    fn the_fuller_surface_leads() {
        let whole = || vec![user(1), user(2)];
        for poor in [
            vec![user(1)],
            vec![user(2), user(1)],
            vec![user(1), with(2, "roles", json!([]))],
            vec![user(1), with(2, "roles", Value::Null)],
            vec![
                with(1, "risk-assess-user", Value::Null),
                with(2, "risk-assess-user", Value::Null),
            ],
        ] {
            // A range is only comparable as far as both cover it, so the poor one must go at least as far.
            let mut rich = whole();
            let mut poor = poor;
            rich.push(user(3));
            if poor.first().is_some_and(|first| first["id"] == 1) {
                poor.push(user(3));
            }
            assert_eq!(
                lead(&both(poor.clone(), rich.clone())),
                Surface::Graphql,
                "{poor:?}"
            );
            assert_eq!(lead(&both(rich, poor)), Surface::Rest);
        }
    }

    #[test]
    fn a_smaller_page_is_not_poorer() {
        assert_eq!(lead(&both(vec![user(1)], vec![user(1), user(2)])), Surface::Rest);
    }

    #[test]
    fn a_broken_order_is_remembered() {
        let samples = both(vec![user(1)], vec![user(1)]);
        let order = preference(&fields(), &samples, |surface| surface == Surface::Graphql);
        assert_eq!(order[0], Surface::Graphql);
    }

    #[test]
    fn a_flag_is_read_where_it_is_shown() {
        let hidden = vec![with(1, "risk-assess-user", Value::Null)];
        let other = vec![with(1, "travel-user", Value::Null)];
        let samples = both(hidden, other);
        let rest = layout(Surface::Rest, &fields(), &samples);
        assert_eq!(rest.borrowed, [flag("risk-assess-user")]);
        let graphql = layout(Surface::Graphql, &fields(), &samples);
        assert_eq!(graphql.borrowed, [flag("travel-user")]);
        assert_eq!(graphql.own.len() + graphql.borrowed.len(), fields().len());
        let said = differences(&rest, &fields(), &samples);
        assert!(
            said.iter()
                .any(|text| text.starts_with("risk-assess-user is read over GraphQL")),
            "{said:?}"
        );
    }

    #[test]
    fn a_flag_that_is_never_set_on_one_surface_is_not_believed_there() {
        let constant = vec![with(1, "risk-assess-user", json!(false))];
        let samples = both(constant, vec![user(1)]);
        let layout = layout(Surface::Rest, &fields(), &samples);
        assert_eq!(layout.borrowed, [flag("risk-assess-user")]);
    }

    #[test]
    fn one_surface_serves_alone() {
        let samples = Each {
            rest: None,
            graphql: Some(sample(vec![user(1)])),
        };
        assert_eq!(preference(&fields(), &samples, |_| true), [Surface::Graphql]);
        assert!(layout(Surface::Graphql, &fields(), &samples).borrowed.is_empty());
    }

    #[test]
    fn null_is_understood_by_comparison_only() {
        let null = |id| with(id, "roles", Value::Null);
        let empty = |id| with(id, "roles", json!([]));
        let means = |rest, graphql| null_means(Surface::Rest, List::Roles, &both(rest, graphql));
        assert_eq!(means(vec![user(1)], vec![user(1)]), NullMeans::Unknown);
        assert_eq!(means(vec![null(1)], vec![empty(1)]), NullMeans::Empty);
        assert_eq!(
            means(vec![null(1), user(2)], vec![null(1), user(2)]),
            NullMeans::Empty
        );
        assert_eq!(
            means(vec![null(1)], vec![null(1)]),
            NullMeans::Unknown,
            "nobody's list is shown: it may be hidden"
        );
        assert_eq!(means(vec![null(1)], vec![user(1)]), NullMeans::Nothing);
        assert_eq!(
            means(vec![null(1), null(2)], vec![empty(1), user(2)]),
            NullMeans::Nothing
        );
        assert_eq!(
            means(vec![null(1), null(2)], vec![user(1), empty(2)]),
            NullMeans::Nothing
        );
        assert_eq!(means(vec![null(1)], vec![empty(2)]), NullMeans::Unknown);
    }

    #[test]
    fn licenses_come_from_what_is_shown() {
        let described = ["intake-user", "api-user", "fullname"]
            .into_iter()
            .map(Box::from)
            .collect();
        let whole = row(
            json!({"id": 1, "purchasing-user": null, "moon-user": null, "star-user": false, "boss-user": {"id": 1},
                               "purchasing-user?": true, "msp-user": false}),
        );
        let samples = Each {
            rest: Some(sample(vec![user(1)])),
            graphql: None,
        };
        let names = license_names(&described, Some(&whole), &samples);
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        assert_eq!(
            names,
            [
                "intake-user",
                "purchasing-user",
                "risk-assess-user",
                "star-user",
                "travel-user"
            ]
        );
    }

    #[test]
    fn differences_are_told_with_ids_only() {
        let samples = both(
            vec![user(1), with(2, "roles", json!([{"id": 9}])), user(3)],
            vec![user(1), with(2, "roles", json!([{"id": 8}])), user(4)],
        );
        let layout = layout(Surface::Rest, &fields(), &samples);
        let said = differences(&layout, &fields(), &samples);
        assert!(
            said.iter()
                .any(|text| text.contains("roles differs") && text.contains("user 2")),
            "{said:?}"
        );
        assert!(
            said.iter().any(|text| text.contains("over REST only")),
            "{said:?}"
        );
    }
}
