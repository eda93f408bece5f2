//! The probe: a handful of requests that find out how this tenant must be read now.
//!
//! | request | why |
//! |---|---|
//! | introspection of `User` over GraphQL | which elements and license flags there are |
//! | one whole user over REST | which flags REST shows |
//! | the first page over REST and over GraphQL | compare users, memberships, flags, order |
//! | the highest id | so that the id space can be split; not believed if the first page contradicts it |
//! | what comes after it | that `id[gt]` is heeded and an empty page is an empty list |
//! | the longest nested list once more, for one user | that list calls do not cut nested lists |
//!
//! Invariant: a surface is given up for what it answers, never for a missing client or token; what differs from the documents
//! becomes a finding, and nothing in a finding is personal.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::fault::Fault;
use crate::model::id::UserId;
use crate::model::tenant::{Finding, Survey, UserOrder};

use super::client::Client;
use super::collection::most_telling;
use super::licenses;
use super::memory::Memory;
use super::plan::{self, Each, NullMeans, Sample};
use super::query::{self, Dialect, Only, PAGE, Projection, Window};
use super::read::{Plan, Reader};
use super::rows::{self, Manner};
use super::trouble::{Failure, Object, Surface, Trouble};
use super::wire::{Field, FieldDescription, List, TypeDescription, UserRow};

/// Probes the tenant.
pub(crate) async fn survey(client: Arc<Client>, memory: Arc<Memory>) -> Result<Reader, Fault> {
    client.sign_in().await?;
    let mut probe = Probe {
        client: &client,
        memory: &memory,
        findings: Vec::new(),
        manner: Manner {
            projection: Projection::Underscored,
            dialect: Dialect::Full,
        },
    };
    let (plan, survey) = probe.run().await?;
    for finding in &survey.findings {
        tracing::info!(finding = finding.text, "found out about the tenant");
    }
    Ok(Reader::new(client, memory, plan, survey))
}

struct Probe<'a> {
    client: &'a Client,
    memory: &'a Memory,
    findings: Vec<Finding>,
    manner: Manner,
}

/// What the schema says about users.
struct Schema {
    names: BTreeSet<Box<str>>,
    flags: BTreeSet<Box<str>>,
}

impl Schema {
    fn licenses(&self) -> impl Iterator<Item = &str> {
        let flags = self.flags.iter().map(|name| &**name);
        flags.filter(|name| licenses::is_license(name))
    }
}

/// Where a listing by key was seen to lead.
enum End {
    /// To an empty page, or to users made since.
    Sound,
    /// To `null`.
    Null,
    /// Back to users it had shown.
    GoesBack,
}

impl Probe<'_> {
    async fn run(&mut self) -> Result<(Plan, Survey), Fault> {
        let (schema, whole) = futures::join!(self.schema(), self.whole_user());
        let whole = concerning_all(whole)?;
        let schema = concerning_all(schema)?.ok().flatten();
        let (rest, graphql) = futures::join!(
            self.rest_sample(schema.as_ref(), &whole),
            self.graphql_sample(schema.as_ref())
        );
        let (rest, projection) =
            concerning_all(rest)?.map_or_else(|f| (Err(f), None), |(s, p)| (Ok(s), Some(p)));
        let (graphql, dialect) =
            concerning_all(graphql)?.map_or_else(|f| (Err(f), None), |(s, d)| (Ok(s), Some(d)));
        self.manner = Manner {
            projection: projection.unwrap_or(self.manner.projection),
            dialect: dialect.unwrap_or(self.manner.dialect),
        };
        let samples = self.usable(rest, graphql)?;
        let described = schema.map(|schema| schema.flags).unwrap_or_default();
        let names = plan::license_names(&described, whole.ok().flatten().as_ref(), &samples);
        self.decide(&names, &samples).await
    }

    /// Keeps the surfaces that work; an error only if none does.
    fn usable(
        &mut self,
        rest: Result<Sample, Failure>,
        graphql: Result<Sample, Failure>,
    ) -> Result<Each<Option<Sample>>, Fault> {
        match (rest, graphql) {
            (Err(rest), Err(graphql)) => Err(most_telling(rest, graphql).into()),
            (rest, graphql) => {
                for failure in [rest.as_ref().err(), graphql.as_ref().err()]
                    .into_iter()
                    .flatten()
                {
                    let other = failure.surface.other();
                    self.find(format!("{failure}: {other} serves users alone"));
                }
                Ok(Each {
                    rest: rest.ok(),
                    graphql: graphql.ok(),
                })
            }
        }
    }

    async fn decide(
        &mut self,
        names: &BTreeSet<Box<str>>,
        samples: &Each<Option<Sample>>,
    ) -> Result<(Plan, Survey), Fault> {
        let licenses = licenses::catalog(names)?;
        let wanted = plan::wanted(licenses.iter().map(|license| license.name.as_str()));
        let unknown: Vec<&str> = names
            .iter()
            .map(|name| &**name)
            .filter(|name| !licenses::is_known(name))
            .collect();
        if !unknown.is_empty() {
            let list = unknown.join(", ");
            self.find(format!(
                "license flags without a published description are offered under their own names: {list}"
            ));
        }
        let ranked = plan::preference(&wanted, samples, |surface| self.memory.trusts_order(surface));
        let (lead, order, highest_user) = self.lead(&ranked, samples).await?;
        let layouts = Each {
            rest: plan::layout(Surface::Rest, &wanted, samples),
            graphql: plan::layout(Surface::Graphql, &wanted, samples),
        };
        let differences = plan::differences(layouts.on(lead), &wanted, samples);
        for text in differences {
            self.find(text);
        }
        let cut = self.cut(lead, samples).await?;
        let plan = Plan {
            lead,
            usable: Each {
                rest: samples.rest.is_some(),
                graphql: samples.graphql.is_some(),
            },
            ordered: Each {
                rest: samples.rest.as_ref().is_some_and(|sample| sample.ordered),
                graphql: samples.graphql.as_ref().is_some_and(|sample| sample.ordered),
            },
            manner: self.manner,
            layouts,
            cut,
            nulls: self.nulls(samples).await?,
            shown: List::ALL.map(|list| plan::shows(list, samples)),
        };
        let survey = Survey {
            order,
            highest_user,
            surface: if plan.layouts.on(lead).borrowed.is_empty() {
                lead.name()
            } else {
                "both"
            },
            findings: std::mem::take(&mut self.findings),
            seen: plan::seen(samples, &licenses),
            licenses,
        };
        Ok((plan, survey))
    }

    fn find(&mut self, text: String) {
        self.findings.push(Finding { text });
    }

    /// `None` where GraphQL works but does not describe users.
    async fn schema(&self) -> Result<Option<Schema>, Failure> {
        let document = query::graphql_introspection();
        let described: Option<TypeDescription> = self.client.graphql(Object::Schema, &document).await?;
        let dashed = |field: &FieldDescription| Box::from(&*licenses::dashed(&field.name));
        Ok(described.map(|ty| Schema {
            names: ty.fields.iter().map(dashed).collect(),
            flags: ty
                .fields
                .iter()
                .filter(|field| field.may_be_flag())
                .map(dashed)
                .collect(),
        }))
    }

    /// Any user with everything REST shows unasked; `None` if there is no user.
    async fn whole_user(&self) -> Result<Option<UserRow>, Failure> {
        let manner = Manner {
            projection: Projection::Whole,
            ..self.manner
        };
        let rows = rows::window(
            self.client,
            manner,
            Surface::Rest,
            &Window::One,
            &Only::Everything,
            &[],
        )
        .await?;
        Ok(rows.into_iter().next())
    }

    async fn first_page(
        &self,
        surface: Surface,
        manner: Manner,
        fields: &[Field],
    ) -> Result<Vec<UserRow>, Failure> {
        let start = Window::After(0);
        rows::window(self.client, manner, surface, &start, &Only::Everything, fields).await
    }

    /// REST shows some elements only when they are named, so every name anybody knows is asked for.
    async fn rest_sample(
        &self,
        schema: Option<&Schema>,
        whole: &Result<Option<UserRow>, Failure>,
    ) -> Result<(Sample, Projection), Failure> {
        let whole = match whole {
            Err(failure) if matches!(failure.trouble, Trouble::Forbidden | Trouble::NotFound) => {
                return Err(failure.clone());
            }
            Err(_) => None,
            Ok(row) => row.as_ref(),
        };
        let seen: Vec<String> = whole.map(license_flags).unwrap_or_default();
        let mut named: BTreeSet<&str> = licenses::table().collect();
        named.extend(seen.iter().map(String::as_str));
        if let Some(schema) = schema {
            named.extend(schema.licenses());
        }
        let mut fields = plan::wanted(named);
        let mut manner = self.manner;
        loop {
            let page = match self.first_page(Surface::Rest, manner, &fields).await {
                Ok(page) => page,
                // Unknown names may be refused: ask for what REST itself has shown.
                Err(Failure {
                    trouble: Trouble::Rejected(_),
                    ..
                }) if manner == self.manner => {
                    fields = plan::wanted(seen.iter().map(String::as_str));
                    self.first_page(Surface::Rest, manner, &fields).await?
                }
                Err(failure) => return Err(failure),
            };
            let lost = whole.is_some_and(|whole| projection_lost(whole, &page, &fields));
            manner.projection = match manner.projection {
                Projection::Underscored if lost => Projection::Dashed,
                Projection::Dashed if lost => Projection::Whole,
                found => return Ok((Sample::new(fields, page), found)),
            };
        }
    }

    /// GraphQL refuses a query for an element it does not have, so only what it describes is asked for.
    async fn graphql_sample(&self, schema: Option<&Schema>) -> Result<(Sample, Dialect), Failure> {
        let mut fields = match schema {
            Some(schema) => {
                let mut fields = plan::wanted(schema.licenses());
                fields.retain(|field| schema.names.contains(field.name()));
                fields
            }
            None => plan::wanted(licenses::table()),
        };
        let mut manner = self.manner;
        loop {
            let failure = match self.first_page(Surface::Graphql, manner, &fields).await {
                Ok(page) => return Ok((Sample::new(fields, page), manner.dialect)),
                Err(failure) => failure,
            };
            let Trouble::GraphqlRefused { fields: refused } = &failure.trouble else {
                return Err(failure);
            };
            let count = fields.len();
            fields.retain(|field| !refused.contains(&licenses::camel(field.name())));
            if fields.len() == count {
                match manner.dialect {
                    Dialect::Full => manner.dialect = Dialect::Bare,
                    Dialect::Bare => return Err(failure),
                }
            }
        }
    }

    /// The surface that leads, how it lists, and the highest id.
    async fn lead(
        &mut self,
        ranked: &[Surface],
        samples: &Each<Option<Sample>>,
    ) -> Result<(Surface, UserOrder, Option<UserId>), Fault> {
        let by_id = ranked.iter().filter(|surface| {
            self.memory.trusts_order(**surface)
                && samples
                    .on(**surface)
                    .as_ref()
                    .is_some_and(|sample| sample.ordered)
        });
        let mut null_end = None;
        for surface in by_id.copied().collect::<Vec<_>>() {
            let Some(last) = samples.on(surface).as_ref().and_then(Sample::last) else {
                return Ok((surface, UserOrder::ById, None));
            };
            let highest = self.highest(surface, samples.on(surface).as_ref()).await?;
            match self.end(surface, highest.map_or(last, UserId::get)).await? {
                End::Sound => return Ok((surface, UserOrder::ById, highest)),
                End::Null => {
                    self.find(format!(
                        "users over {surface} end with null in place of an empty list"
                    ));
                    null_end.get_or_insert((surface, UserOrder::ById, highest));
                }
                End::GoesBack => self.find(format!("users over {surface} do not heed id[gt]")),
            }
        }
        if let Some(found) = null_end {
            return Ok(found);
        }
        self.by_offset(ranked, samples).await
    }

    /// The highest id, if the surface tells it and the first page does not contradict it.
    async fn highest(&mut self, surface: Surface, sample: Option<&Sample>) -> Result<Option<UserId>, Fault> {
        let window = Window::Highest;
        let answer = rows::window(self.client, self.manner, surface, &window, &Only::Everything, &[]).await;
        let first = match concerning_all(answer)? {
            Ok(rows) => rows.first().map(|row| row.id),
            Err(_) => None,
        };
        let highest = first.filter(|first| sample.is_none_or(|sample| is_plausible(*first, sample)));
        if highest.is_none() {
            self.find(format!(
                "the highest user id is not known: {surface} does not list downwards"
            ));
        }
        Ok(highest.and_then(UserId::new))
    }

    async fn end(&self, surface: Surface, last: u64) -> Result<End, Fault> {
        let window = Window::After(last);
        match rows::window(self.client, self.manner, surface, &window, &Only::Everything, &[]).await {
            // The row of the cursor itself may be repeated; earlier ones may not.
            Ok(rows) if rows.iter().any(|row| row.id < last) => Ok(End::GoesBack),
            Ok(_) => Ok(End::Sound),
            Err(failure) if failure.is_null_list() => Ok(End::Null),
            Err(failure) => Err(failure.into()),
        }
    }

    /// No surface lists by key: one that skips rows when asked to.
    async fn by_offset(
        &mut self,
        ranked: &[Surface],
        samples: &Each<Option<Sample>>,
    ) -> Result<(Surface, UserOrder, Option<UserId>), Fault> {
        // REST documents `offset`; GraphQL does not.
        let mut candidates = ranked.to_vec();
        candidates.sort();
        for surface in candidates {
            let Some(sample) = samples.on(surface) else {
                continue;
            };
            let seen: BTreeSet<u64> = sample.ids().collect();
            // One row further than the sample, for a page may start with the last row of the one before.
            let window = Window::Offset(sample.len as u64 + 1);
            let rows =
                rows::window(self.client, self.manner, surface, &window, &Only::Everything, &[]).await?;
            if rows.is_empty() || rows.iter().any(|row| !seen.contains(&row.id)) {
                self.find(format!("users are read over {surface} by offset, in one listing"));
                return Ok((surface, UserOrder::Arbitrary, None));
            }
        }
        Err(Fault::corrupt(
            "Coupa lists users neither in order of their ids nor from an offset, so no list can be complete",
        )
        .advise("report this tenant's behavior to Coupa support"))
    }

    /// Whether list calls cut nested lists, by the longest one seen.
    async fn cut(&mut self, lead: Surface, samples: &Each<Option<Sample>>) -> Result<Option<usize>, Fault> {
        let Some((id, list, length)) = samples.on(lead).as_ref().and_then(Sample::longest) else {
            return Ok(None);
        };
        // One entry is no list to be cut.
        if length < 2 {
            return Ok(None);
        }
        let surface = single_surface(samples.rest.is_some());
        let row = rows::single(self.client, self.manner, surface, id, &[Field::List(list)]).await;
        let alone = concerning_all(row)?.ok().flatten();
        let whole = alone
            .as_ref()
            .and_then(|row| row.list(list))
            .map_or(0, <[u64]>::len);
        if whole <= length {
            return Ok(None);
        }
        self.find(format!(
            "nested lists are cut to {length} entries in lists of users; lists of that length are read again for each user"
        ));
        Ok(Some(length))
    }

    /// What `null` means in place of a nested list. Where only one surface works, lists and single reads are compared.
    async fn nulls(&mut self, samples: &Each<Option<Sample>>) -> Result<Each<[NullMeans; 2]>, Fault> {
        let mut means = Each {
            rest: List::ALL.map(|list| plan::null_means(Surface::Rest, list, samples)),
            graphql: List::ALL.map(|list| plan::null_means(Surface::Graphql, list, samples)),
        };
        match (&samples.rest, &samples.graphql) {
            (Some(sample), None) => means.rest = self.nulls_alone(Surface::Rest, sample).await?,
            (None, Some(sample)) => means.graphql = self.nulls_alone(Surface::Graphql, sample).await?,
            _ => {}
        }
        for (surface, list, means) in [
            (Surface::Rest, List::Roles, means.rest[0]),
            (Surface::Rest, List::Groups, means.rest[1]),
            (Surface::Graphql, List::Roles, means.graphql[0]),
            (Surface::Graphql, List::Groups, means.graphql[1]),
        ] {
            match means {
                NullMeans::Empty => self.find(format!(
                    "{surface} writes null for an empty list of {}",
                    list.name()
                )),
                NullMeans::Nothing => self.find(format!(
                    "{surface} writes null for lists of {} that are not empty; such users are read again",
                    list.name()
                )),
                NullMeans::Unknown => {}
            }
        }
        Ok(means)
    }

    async fn nulls_alone(&self, surface: Surface, sample: &Sample) -> Result<[NullMeans; 2], Fault> {
        let mut means = [NullMeans::Unknown; 2];
        for list in List::ALL {
            let null = sample.rows().find(|row| row.list(list).is_none());
            // If nobody has the list, null says nothing about it.
            let shown = sample.rows().any(|row| row.list(list).is_some());
            let Some(row) = null.filter(|_| shown) else {
                continue;
            };
            let again = rows::single(self.client, self.manner, surface, row.id, &[Field::List(list)]).await;
            if let Ok(Some(again)) = concerning_all(again)? {
                means[list as usize] = NullMeans::Unknown.learn(again.list(list));
            }
        }
        Ok(means)
    }
}

/// Where single users are read: REST if it works, since only there a missing user has a documented answer.
pub(crate) const fn single_surface(rest_works: bool) -> Surface {
    if rest_works {
        Surface::Rest
    } else {
        Surface::Graphql
    }
}

/// Stops at a failure that concerns every request; one of a single surface is handed on inside.
fn concerning_all<T>(result: Result<T, Failure>) -> Result<Result<T, Failure>, Fault> {
    match result {
        Err(failure) if failure.concerns_all() => Err(failure.into()),
        result => Ok(result),
    }
}

/// The license flags in a row.
fn license_flags(row: &UserRow) -> Vec<String> {
    let names = row.flags().map(|(name, _)| name.to_owned());
    names.filter(|name| licenses::is_license(name)).collect()
}

/// Whether `fields` hid elements that the same user has in the whole object.
fn projection_lost(whole: &UserRow, page: &[UserRow], fields: &[Field]) -> bool {
    page.iter()
        .find(|row| row.id == whole.id)
        .is_some_and(|row| fields.iter().any(|field| whole.tells(field) && !row.tells(field)))
}

/// A highest id must not lie below what the first page shows; if that page was full, it must lie above.
fn is_plausible(highest: u64, sample: &Sample) -> bool {
    match sample.last() {
        Some(last) if sample.len >= PAGE => highest > last,
        Some(last) => highest >= last,
        None => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn sample(ids: std::ops::RangeInclusive<u64>) -> Sample {
        Sample::new([], ids.map(UserRow::new).collect())
    }

    #[test]
    fn a_highest_id_is_judged_by_the_first_page() {
        assert!(is_plausible(60, &sample(1..=50)));
        assert!(!is_plausible(1, &sample(1..=50)), "dir was ignored");
        assert!(!is_plausible(50, &sample(1..=50)));
        assert!(is_plausible(7, &sample(1..=7)));
        assert!(!is_plausible(1, &sample(1..=20)), "a smaller page of GraphQL");
        assert!(is_plausible(1, &sample(1..=1)));
    }

    #[test]
    fn a_projection_that_loses_elements_is_seen() {
        let row = |text: &str| serde_json::from_str::<UserRow>(text).unwrap();
        let fields = plan::wanted([]);
        let whole = row(r#"{"id":1,"login":"a","user-groups":[{"id":1}]}"#);
        let lost = row(r#"{"id":1,"login":"a"}"#);
        assert!(projection_lost(&whole, &[row(r#"{"id":2}"#), lost], &fields));
        assert!(!projection_lost(
            &whole,
            &[row(r#"{"id":1,"login":"a","user_groups":[]}"#)],
            &fields
        ));
        assert!(!projection_lost(&whole, &[row(r#"{"id":2}"#)], &fields));
    }
}
