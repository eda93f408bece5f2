//! Kill -9 around every request of a change, and at moments drawn by lot: after the next start nothing is lost that nobody asked for, no entry
//! stays open, and asked again the answer is true.

use std::process::{Child, Stdio};
use std::time::Duration;

use baton_coupa::model::access::Item;
use baton_coupa::model::journal::{Journal as _, Which};
use baton_coupa::sandbox::{
    ListWrite, Matching, MembershipDelete, PausePoint, PerList, Readings, Running, SandboxConfig, TruthUser,
};
use baton_coupa::state::State;
use futures::{StreamExt as _, stream};
use tempfile::TempDir;

use super::cast;
use super::house::{LICENSE, group, holds, license, role, same_access, with};
use crate::support::program::{output, program_for, stderr};
use crate::support::tenant;

/// A tenant, a file of it, and a state directory that outlives the processes.
struct Scene {
    sandbox: Running,
    folder: TempDir,
    readings: Readings,
}

/// One change of one user, as arguments of the program.
struct Deed {
    user: TruthUser,
    item: Item,
    held: bool,
}

impl Deed {
    fn arguments(&self) -> Vec<String> {
        let entitlement = cast::entitlement(&self.item);
        if self.held {
            vec![
                "--grant-entitlement".to_owned(),
                entitlement,
                "--grant-principal".to_owned(),
                self.user.id.to_string(),
                "--grant-principal-type".to_owned(),
                "user".to_owned(),
            ]
        } else {
            vec![
                "--revoke-grant".to_owned(),
                format!("{entitlement}:user:{}", self.user.id),
            ]
        }
    }

    fn wanted(&self) -> TruthUser {
        with(&self.user, &self.item, self.held)
    }
}

impl Scene {
    async fn with(readings: Readings) -> Self {
        let sandbox = tenant::start(SandboxConfig {
            users: 160,
            groups: 16,
            roles: 12,
            readings: readings.clone(),
            ..SandboxConfig::default()
        })
        .await;
        let scene = Self {
            sandbox,
            folder: TempDir::new().unwrap(),
            readings,
        };
        scene.succeeds(&[]).await;
        scene
    }

    fn spawn(&self, words: &[String]) -> Child {
        let mut command = program_for(&self.sandbox, &self.folder);
        command
            .env("BATON_COUPA_REQUESTS_PER_SECOND", "1000")
            .args(words)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().unwrap()
    }

    async fn succeeds(&self, words: &[String]) {
        let mut command = program_for(&self.sandbox, &self.folder);
        command.env("BATON_COUPA_REQUESTS_PER_SECOND", "1000").args(words);
        let output = output(command).await;
        assert!(output.status.success(), "{words:?}: {}", stderr(&output));
    }

    fn user(&self, id: u64) -> TruthUser {
        self.sandbox
            .truth()
            .users
            .into_iter()
            .find(|user| user.id == id)
            .unwrap()
    }

    fn open_entries(&self) -> usize {
        let state = self.folder.path().join("state");
        let host = std::fs::read_dir(&state)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .file_name();
        let state = State::open(&state, host.to_str().unwrap(), self.sandbox.client_id()).unwrap();
        state.entries(Which::Open).unwrap().len()
    }

    fn deed(&self, kind: Kind, user: TruthUser) -> Option<Deed> {
        let truth = self.sandbox.truth();
        let (item, held) = match kind {
            Kind::GrantRole => (cast::other_role(&truth, &user)?, true),
            Kind::RevokeRole => (role(user.roles[0]), false),
            Kind::GrantGroup => (cast::other_group(&truth, &user)?, true),
            Kind::RevokeGroup => (group(user.groups[0]), false),
            Kind::GrantLicense => (license(LICENSE), true),
            Kind::RevokeLicense => (license("purchasing-user"), false),
        };
        (holds(&user, &item) != held).then_some(Deed { user, item, held })
    }

    fn people(&self) -> Vec<TruthUser> {
        cast::people(&self.sandbox.truth())
    }

    fn some_deed(&self, kind: Kind) -> Deed {
        let mut people = self.people().into_iter();
        people.find_map(|user| self.deed(kind, user)).unwrap()
    }

    /// What must hold after a kill, whenever it came.
    async fn settle(&self, deed: &Deed, case: &str) {
        let recover = ["journal", "recover"].map(str::to_owned);
        self.succeeds(&recover).await;
        assert_eq!(self.open_entries(), 0, "{case}: left open");
        let now = self.user(deed.user.id);
        assert!(
            same_access(&now, &deed.user) || same_access(&now, &deed.wanted()),
            "{case}: {:?} became {now:?}",
            deed.user
        );
        self.succeeds(&deed.arguments()).await;
        assert!(
            same_access(&self.user(deed.user.id), &deed.wanted()),
            "{case}: repeated"
        );
        assert_eq!(self.open_entries(), 0, "{case}: repeated");
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    GrantRole,
    RevokeRole,
    GrantGroup,
    RevokeGroup,
    GrantLicense,
    RevokeLicense,
}

const KINDS: [Kind; 6] = [
    Kind::GrantRole,
    Kind::RevokeRole,
    Kind::GrantGroup,
    Kind::RevokeGroup,
    Kind::GrantLicense,
    Kind::RevokeLicense,
];

/// Kills the program before and after requests of a change, each case in a scene of its own. Writes are met on both sides, and the read
/// before them; with `BATON_TEST_LONG` every request that concerns the user is.
async fn at_every_request(readings: Readings, kind: Kind) {
    let scene = Scene::with(readings.clone()).await;
    let deed = scene.some_deed(kind);
    scene.sandbox.clear_log();
    scene.succeeds(&deed.arguments()).await;
    let log = scene.sandbox.log();
    let path = format!("/api/users/{}", deed.user.id);
    let begin = log.iter().position(|entry| entry.path == path).unwrap();
    let all = std::env::var_os("BATON_TEST_LONG").is_some();
    let chosen =
        |n: &usize| all || log[*n].write.is_some() || log.get(n + 1).is_some_and(|next| next.write.is_some());
    let points: Vec<(usize, bool)> = (begin..log.len())
        .filter(chosen)
        .flat_map(|n| [(n + 1, false), (n + 1, true)])
        .filter(|(nth, after)| all || !after || log[nth - 1].write.is_some())
        .collect();
    assert!(points.len() >= 3, "{points:?}");
    let cases = points
        .into_iter()
        .map(|(nth, after)| one_kill(readings.clone(), kind, nth, after));
    stream::iter(cases)
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<()>>()
        .await;
}

/// Cases mostly wait for what was sent to settle.
const AT_ONCE: usize = 8;

async fn one_kill(readings: Readings, kind: Kind, nth: usize, after: bool) {
    let scene = Scene::with(readings).await;
    let deed = scene.some_deed(kind);
    let case = format!(
        "{kind:?}, {:?}, killed at request {nth}, after its effect: {after}",
        scene.readings.list_write
    );
    let on = Matching {
        nth: nth as u64,
        ..Matching::default()
    };
    scene.sandbox.pause(if after {
        PausePoint::After(on)
    } else {
        PausePoint::Before(on)
    });
    let mut child = scene.spawn(&deed.arguments());
    tokio::select! {
        () = scene.sandbox.held() => {}
        () = ended(&mut child) => panic!("{case}: it has fewer requests"),
    }
    child.kill().unwrap();
    child.wait().unwrap();
    scene.sandbox.released().await;
    scene.settle(&deed, &case).await;
}

async fn ended(child: &mut Child) {
    while child.try_wait().unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn adds() -> Readings {
    Readings::default()
}

/// Groups have to be cleared and set too.
fn without_membership_calls() -> Readings {
    Readings {
        membership_delete: MembershipDelete::Absent,
        ..Readings::default()
    }
}

fn replaces() -> Readings {
    Readings {
        list_write: PerList {
            roles: ListWrite::Replace,
            user_groups: ListWrite::Replace,
        },
        ..Readings::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_in_the_grant_of_a_role() {
    at_every_request(adds(), Kind::GrantRole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_in_the_revoke_of_a_role_where_lists_are_added_to() {
    at_every_request(adds(), Kind::RevokeRole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_in_the_revoke_of_a_role_where_lists_are_replaced() {
    at_every_request(replaces(), Kind::RevokeRole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_in_the_grant_of_a_group() {
    at_every_request(adds(), Kind::GrantGroup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_in_the_revoke_of_a_group() {
    at_every_request(adds(), Kind::RevokeGroup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_in_the_revoke_of_a_group_without_membership_calls() {
    at_every_request(without_membership_calls(), Kind::RevokeGroup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_in_the_grant_of_a_license() {
    at_every_request(adds(), Kind::GrantLicense).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_in_the_revoke_of_a_license() {
    at_every_request(adds(), Kind::RevokeLicense).await;
}

/// Kill points drawn by lot: `BATON_TEST_KILLS` says how many (500 in the long form), 12 if it is not set; `BATON_TEST_SEED` draws others.
#[tokio::test(flavor = "multi_thread")]
async fn crash_at_moments_drawn_by_lot() {
    const LANES: usize = 6;
    let kills: usize = std::env::var("BATON_TEST_KILLS").map_or(12, |text| text.parse().unwrap());
    let seed: u64 = std::env::var("BATON_TEST_SEED").map_or(7, |text| text.parse().unwrap());
    let lanes = (seed..)
        .take(LANES)
        .map(|seed| by_lot(seed, kills.div_ceil(LANES)));
    futures::future::join_all(lanes).await;
}

async fn by_lot(seed: u64, kills: usize) {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut left = kills;
    while left > 0 {
        let readings = [adds(), replaces(), without_membership_calls()];
        let scene = Scene::with(readings[dice.usize(..3)].clone()).await;
        for user in scene.people() {
            if left == 0 {
                break;
            }
            let Some(deed) = scene.deed(KINDS[dice.usize(..KINDS.len())], user) else {
                continue;
            };
            left -= 1;
            // Start-up and single writes, or what clears and sets.
            let longest = if dice.bool() { 400_000 } else { 2_400_000 };
            let wait = Duration::from_micros(dice.u64(..longest));
            let case = format!(
                "seed {seed}, {left} left: {:?} of user {}, killed after {wait:?}",
                deed.item, deed.user.id
            );
            let mut child = scene.spawn(&deed.arguments());
            tokio::time::sleep(wait).await;
            // Fails where the program has ended already, which is a kill point too.
            let _ = child.kill();
            child.wait().unwrap();
            scene.settle(&deed, &case).await;
        }
    }
}
