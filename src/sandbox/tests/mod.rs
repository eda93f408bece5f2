//! The sandbox over its own sockets, seen by an ordinary HTTP client.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::*;

mod mail;
mod mishaps;
mod people;
mod readings;
mod risk_assess_import;
mod risk_assess_sync;
mod strikes;
mod surfaces;
mod write_readings;
mod writes;

const READ: &str = "core.user.read core.user_group.read core.common.read";

fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn client() -> reqwest::ClientBuilder {
    // Another test may have been first, with the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none())
}

/// A client with a token for reading.
struct Tenant {
    running: Running,
    http: reqwest::Client,
    token: String,
}

impl Tenant {
    async fn start(config: SandboxConfig) -> Self {
        let running = Sandbox::start(config, local(), None).await.unwrap();
        Self::of(running, client().build().unwrap()).await
    }

    async fn small() -> Self {
        Self::start(SandboxConfig {
            users: 260,
            groups: 70,
            ..SandboxConfig::default()
        })
        .await
    }

    async fn of(running: Running, http: reqwest::Client) -> Self {
        let mut tenant = Self {
            running,
            http,
            token: String::new(),
        };
        tenant.token = tenant.mint(READ).await;
        tenant
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.running.base_url())
    }

    fn token_request(&self, extra: &[(&str, &str)]) -> RequestBuilder {
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", self.running.client_id()),
            ("client_secret", self.running.client_secret()),
        ];
        form.extend(extra);
        self.http.post(self.url("/oauth2/token")).form(&form)
    }

    async fn mint(&self, scope: &str) -> String {
        let answer: Value = self
            .token_request(&[("scope", scope)])
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.http
            .get(self.url(path))
            .bearer_auth(&self.token)
            .header("Accept", "application/json")
    }

    async fn rest(&self, path: &str) -> (StatusCode, Value) {
        let answer = self.get(path).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    fn post_graphql(&self, query: &str, variables: &Value) -> RequestBuilder {
        let body = json!({ "query": query, "variables": variables });
        self.http
            .post(self.url("/api/graphql"))
            .bearer_auth(&self.token)
            .json(&body)
    }

    async fn graphql(&self, query: &str, variables: Value) -> Value {
        self.post_graphql(query, &variables)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    /// Every row of a REST collection by keyset, until an empty page.
    async fn rest_rows(&self, collection: &str, fields: &str) -> Vec<Value> {
        let (mut all, mut last) = (Vec::new(), 0);
        loop {
            let path =
                format!("/api/{collection}?id[gt]={last}&order_by=id&dir=asc&limit=50&fields={fields}");
            let (status, page) = self.rest(&path).await;
            assert_eq!(status, StatusCode::OK, "{page}");
            let Some(end) = page.as_array().unwrap().last() else {
                return all;
            };
            last = end["id"].as_u64().unwrap();
            all.extend(page.as_array().unwrap().iter().cloned());
        }
    }

    /// Every row of a GraphQL collection by keyset, until an empty page.
    async fn graphql_rows(&self, root: &str, selection: &str) -> Vec<Value> {
        let (mut all, mut last) = (Vec::new(), 0);
        loop {
            let document = format!("query($q: String!) {{ rows: {root}(query: $q) {{ {selection} }} }}");
            let answer = self
                .graphql(
                    &document,
                    json!({ "q": format!("&id[gt]={last}&order_by=id&dir=asc") }),
                )
                .await;
            let page = answer["data"]["rows"]
                .as_array()
                .unwrap_or_else(|| panic!("{answer}"))
                .clone();
            let Some(end) = page.last() else { return all };
            last = end["id"].as_u64().unwrap();
            all.extend(page);
        }
    }
}

fn ids(list: &Value) -> Vec<u64> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].as_u64().unwrap())
        .collect()
}

fn by_id(rows: &[Value]) -> BTreeMap<u64, &Value> {
    rows.iter()
        .map(|row| (row["id"].as_u64().unwrap(), row))
        .collect()
}
