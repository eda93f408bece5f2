//! A connector as a runner's child: launch and transport of the conformance checks (PC-1 to PC-8), each run against the program, against a
//! small good child, and against children with one defect each; then what a child does in its life.

mod checks;
mod life;
mod parent;
mod twin;

use baton_coupa::sandbox::{Running, SandboxConfig};
use tempfile::TempDir;

use crate::support::program::program_for;
use crate::support::tenant;
use parent::{Launched, Start};
use twin::Defect;

/// What a check found wrong.
#[derive(Debug)]
struct Violation(String);

impl From<String> for Violation {
    fn from(what: String) -> Self {
        Self(what)
    }
}

impl From<tonic::Status> for Violation {
    fn from(status: tonic::Status) -> Self {
        Self(format!("{:?}: {}", status.code(), status.message()))
    }
}

type Verdict = Result<(), Violation>;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Violation(what())) }
}

/// Whom a check starts.
enum Subject {
    Real(Box<Real>),
    Twin(Option<Defect>),
}

/// The program in front of a sandbox of its own.
struct Real {
    sandbox: Running,
    folder: TempDir,
}

impl Real {
    async fn new(config: SandboxConfig) -> Self {
        Self {
            sandbox: tenant::start(config).await,
            folder: TempDir::new().unwrap(),
        }
    }

    fn launch(&self, start: Start) -> Launched {
        let mut command = program_for(&self.sandbox, &self.folder);
        command
            .env("BATON_COUPA_REQUESTS_PER_SECOND", "1000")
            // Handed over with what else the runner hands over.
            .env_remove("BATON_COUPA_CLIENT_SECRET");
        let start = start.var("BATON_COUPA_CLIENT_SECRET", self.sandbox.client_secret());
        Launched::by(start, |given| parent::spawn(command, given))
    }
}

fn small() -> SandboxConfig {
    SandboxConfig {
        users: 30,
        groups: 4,
        roles: 4,
        ..SandboxConfig::default()
    }
}

impl Subject {
    fn launch(&self, start: Start) -> Launched {
        match self {
            Self::Real(real) => real.launch(start),
            Self::Twin(defect) => {
                let start = start.var("BATON_COUPA_CLIENT_SECRET", "the twin's secret");
                Launched::by(start, |given| twin::start(*defect, given))
            }
        }
    }

    /// From now on no call that asks the tenant is answered soon.
    fn stall(&self) -> Start {
        match self {
            Self::Real(real) => {
                real.sandbox.set_faults(stalled());
                Start::usual()
            }
            Self::Twin(_) => Start::with(&["--stall"]),
        }
    }
}

fn stalled() -> baton_coupa::sandbox::Faults {
    use baton_coupa::sandbox::{Effect, FaultAction, Faults, Matching, ScriptedFault};
    Faults {
        scripted: vec![ScriptedFault {
            on: Matching {
                path_prefix: Some("/api".to_owned()),
                times: u64::MAX,
                ..Matching::default()
            },
            effect: Effect::None,
            action: FaultAction::Hang,
        }],
        ..Faults::default()
    }
}

/// Runs one check against everything: the program and the good twin pass, each broken twin fails and the finding contains the given words.
async fn judge<F>(check: impl Fn(Subject) -> F, defects: &[(Defect, &str)])
where
    F: Future<Output = Verdict>,
{
    assert!(
        !defects.is_empty(),
        "a check that nothing can fail proves nothing"
    );
    check(Subject::Twin(None)).await.expect("the good twin");
    for (defect, words) in defects {
        let Err(Violation(found)) = check(Subject::Twin(Some(*defect))).await else {
            panic!("{defect:?} passed");
        };
        assert!(
            found.contains(words),
            "{defect:?} was rejected for another reason: {found}"
        );
    }
    let real = Real::new(small()).await;
    check(Subject::Real(Box::new(real))).await.expect("the program");
}

macro_rules! conformance {
    ($($name:ident: $check:path, [$($defect:ident $words:literal),+ $(,)?];)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                judge($check, &[$((Defect::$defect, $words)),+]).await;
            }
        )+
    };
}

conformance! {
    pc_01_a_child_takes_whatever_its_runner_was_given: checks::pc_01, [
        RejectsFlags "of-tomorrow",
        RejectsVariables "BATON_OF_TOMORROW",
    ];
    pc_02_a_line_that_is_none_ends_the_child_with_a_reason: checks::pc_02, [
        GarbageIsFine "status",
        FailsSilently "says nothing",
        OnlyLine "a second line",
    ];
    pc_03_a_child_serves_on_the_socket_it_is_given: checks::pc_03, [
        IgnoresPort "another port",
        StaysBlocking "blocking mode",
        AlwaysThree "number 7",
    ];
    pc_04_a_child_without_a_socket_says_so: checks::pc_04, [
        GuessesThree "is missing",
        FailsSilently "does not name",
    ];
    pc_05_a_raw_key_makes_tls_1_3_with_http_2: checks::pc_05, [
        NoAlpn "ALPN",
        OldTls "TLSv1_2",
        OwnCertificate "cannot connect",
    ];
    pc_06_only_the_runner_is_let_in: checks::pc_06, [
        AnyClient "without a certificate",
        AnyCertificate "another authority",
    ];
    pc_07_a_child_ends_with_its_runner: checks::pc_07, [
        EofIsFailure "status",
        Lingers "still runs",
        WaitsForCalls "with a call under way",
    ];
    pc_08_a_child_is_quiet_and_keeps_secrets: checks::pc_08, [
        PrintsToStdout "stdout",
        LogsSecret "a secret",
        LogsLine "a secret",
    ];
}
