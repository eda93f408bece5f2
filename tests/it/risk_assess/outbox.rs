//! Delivery by Quick Integration with the built program: killed around every exchange, refused, answered late or not at all. Every row arrives or is
//! told, and arriving twice is harmless.

use std::process::{Child, Stdio};

use baton_coupa::sandbox::risk_assess::{Readings, Switch};
use baton_coupa::sandbox::{Effect, FaultAction, Faults, Matching, PausePoint, RequestKind, ScriptedFault};

use super::scene::Scene;
use crate::support::program::stderr;

const SYNC: [&str; 4] = [
    "risk-assess",
    "sync",
    "--risk-assess-delivery",
    "quick-integration",
];

impl Scene {
    fn delivering(&self, words: &[&str]) -> std::process::Command {
        let mut command = self.command(words);
        command
            .env("BATON_RISK_ASSESS_URL", self.sandbox.risk_assess_url())
            .env("BATON_RISK_ASSESS_USERNAME", self.sandbox.risk_assess_username())
            .env("BATON_RISK_ASSESS_PASSWORD", self.sandbox.risk_assess_password());
        command
    }

    async fn deliver(&self) -> std::process::Output {
        crate::support::program::output(self.delivering(&SYNC)).await
    }

    fn spawn(&self) -> Child {
        let mut command = self.delivering(&SYNC);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// Three people with the license, and nobody else with it.
    async fn three() -> (Self, Vec<u64>) {
        Self::three_with(Readings::default()).await
    }

    async fn three_with(theirs: Readings) -> (Self, Vec<u64>) {
        let scene = Self::with(theirs).await;
        let license = |user, held| {
            let name = super::scene::LICENSE.to_owned();
            let change = baton_coupa::sandbox::Change::SetLicense { name, held };
            scene
                .sandbox
                .edit(&baton_coupa::sandbox::Edit { user, change })
                .unwrap();
        };
        for holder in scene.sandbox.truth().users {
            if holder.licenses.iter().any(|name| name == super::scene::LICENSE) {
                license(holder.id, false);
            }
        }
        let users: Vec<u64> = scene.candidates().iter().take(3).map(|user| user.id).collect();
        for (user, login) in users.iter().zip(["ada", "bob", "cleo"]) {
            scene.make_plain(*user, login);
            license(*user, true);
        }
        (scene, users)
    }

    fn arrived(&self) -> Vec<String> {
        let mut found: Vec<String> = ["ada", "bob", "cleo"]
            .into_iter()
            .filter(|login| {
                let named = self
                    .sandbox
                    .risk_assess()
                    .account_named(&format!("{login}@corp.example"));
                named.is_some()
            })
            .map(str::to_owned)
            .collect();
        found.sort();
        found
    }

    async fn standings(&self) -> Vec<String> {
        let ledger = self.ledger().await;
        let accounts = ledger["accounts"].as_array().unwrap();
        accounts
            .iter()
            .map(|account| account["standing"].as_str().unwrap().to_owned())
            .collect()
    }

    async fn unsettled(&self) -> usize {
        let ledger = self.ledger().await;
        let parcels = ledger["outbox"].as_array().unwrap().clone();
        parcels
            .iter()
            .filter(|parcel| parcel["stage"] != "settled")
            .count()
    }

    fn fault(&self, action: FaultAction, effect: Effect, times: u64) {
        self.sandbox.set_faults(Faults {
            scripted: vec![ScriptedFault {
                on: Matching {
                    kind: Some(RequestKind::QuickIntegration),
                    times,
                    ..Matching::default()
                },
                effect,
                action,
            }],
            ..Faults::default()
        });
    }
}

fn broken() -> FaultAction {
    FaultAction::Status {
        status: 500,
        html: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_row_is_acknowledged_by_itself() {
    let (scene, _) = Scene::three().await;
    let output = scene.deliver().await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(scene.arrived(), ["ada", "bob", "cleo"]);
    assert_eq!(scene.standings().await, ["delivered"; 3]);
    let imports = scene.sandbox.risk_assess().imports().len();
    assert_eq!(imports, 3, "one row per file");
    assert!(scene.deliver().await.status.success());
    assert_eq!(
        scene.sandbox.risk_assess().imports().len(),
        imports,
        "nothing is sent again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_around_every_exchange_no_row_is_lost() {
    for nth in 1..=3 {
        for (name, at) in [
            ("before", PausePoint::Before as fn(Matching) -> PausePoint),
            ("after", PausePoint::After),
        ] {
            let (scene, _) = Scene::three().await;
            scene.sandbox.pause(at(Matching {
                kind: Some(RequestKind::QuickIntegration),
                nth,
                ..Matching::default()
            }));
            let mut child = scene.spawn();
            scene.sandbox.held().await;
            child.kill().unwrap();
            child.wait().unwrap();
            scene.sandbox.resume();
            let claimed = scene.standings().await;
            let delivered = claimed.iter().filter(|standing| *standing == "delivered").count();
            assert_eq!(delivered as u64, nth - 1, "{nth} {name}: {claimed:?}");
            let again = scene.deliver().await;
            assert!(again.status.success(), "{nth} {name}: {}", stderr(&again));
            assert_eq!(scene.arrived(), ["ada", "bob", "cleo"], "{nth} {name}");
            assert_eq!(scene.unsettled().await, 0, "{nth} {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_says_is_what_the_ledger_says() {
    // Down for some requests, with and without the effect: tried again.
    for (action, effect) in [
        (broken(), Effect::None),
        (broken(), Effect::Applied),
        (FaultAction::Reset, Effect::None),
        (FaultAction::Reset, Effect::Applied),
    ] {
        let (scene, _) = Scene::three().await;
        scene.fault(action.clone(), effect, 2);
        let output = scene.deliver().await;
        assert!(output.status.success(), "{action:?}: {}", stderr(&output));
        assert_eq!(scene.arrived(), ["ada", "bob", "cleo"], "{action:?}");
        assert_eq!(scene.unsettled().await, 0);
        for standing in scene.standings().await {
            // Where the lost answer was 201, the repeat finds nothing new: that is no proof.
            assert!(
                ["delivered", "doubtful"].contains(&standing.as_str()),
                "{action:?}: {standing}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queued_and_refused_rows_claim_nothing() {
    let (scene, _) = Scene::three_with(Readings {
        queue: Switch::On,
        ..Readings::default()
    })
    .await;
    assert!(scene.deliver().await.status.success());
    assert_eq!(scene.standings().await, ["queued"; 3]);
    let claim = scene.ledger().await["accounts"][0]["claim"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(!claim.contains("created"), "{claim}");

    let (scene, _) = Scene::three().await;
    let mut command = scene.delivering(&SYNC);
    command.env("BATON_RISK_ASSESS_PASSWORD", "wr0ng-s3cret");
    let refused = crate::support::program::output(command).await;
    assert!(!refused.status.success());
    assert!(!stderr(&refused).contains("wr0ng"), "{}", stderr(&refused));
    assert_eq!(scene.unsettled().await, 3, "nothing is lost");
    assert!(scene.deliver().await.status.success());
    assert_eq!(scene.standings().await, ["delivered"; 3]);
}
