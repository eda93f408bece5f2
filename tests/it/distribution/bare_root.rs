//! The static binary where there is nothing else: no libc, no shell, no `/proc`, no list of users or hosts. It runs as a user
//! without a name, in a root that it cannot write to, with a state directory as Kubernetes makes it.
//!
//! `.ci/bare-root` builds that binary, says where it is, and runs these.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use baton_coupa::sandbox::{Running, Sandbox, SandboxConfig, TlsFiles};
use tempfile::TempDir;

use super::text;
use crate::grpc::pki::Authority;
use crate::support::program::{output, stderr};
use crate::support::reader;
use crate::support::truth::{DEFAULT_CLASSES, assert_equal};

/// Who runs in the image.
const USER: &str = "65532:65532";

/// Where the connector looks for authorities in the image.
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

/// A directory that becomes `/`.
struct BareRoot(TempDir);

/// Runs a command as root, which changing the root takes.
fn as_root(words: &[&str]) -> Command {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let sudo: &[&str] = if is_root { &[] } else { &["sudo", "-n"] };
    let all = [sudo, words].concat();
    let mut command = Command::new(all[0]);
    command.args(&all[1..]).stdin(Stdio::null());
    command
}

fn succeed(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    output
}

impl BareRoot {
    /// The binary, `/tmp`, a state directory and, if there is one, the bundle.
    fn new(bundle: Option<&str>) -> Self {
        let binary = std::env::var_os("BATON_TEST_STATIC").expect("set by .ci/bare-root");
        let root = Self(TempDir::new().unwrap());
        let at = |path: &str| root.path(path).to_str().unwrap().to_owned();
        fs::copy(PathBuf::from(binary), root.path("baton-coupa")).unwrap();
        if let Some(bundle) = bundle {
            fs::create_dir_all(root.path(BUNDLE).parent().unwrap()).unwrap();
            fs::write(root.path(BUNDLE), bundle).unwrap();
        }
        succeed(as_root(&["install", "-d", "-m", "1777", &at("tmp")]));
        // As Kubernetes hands out a volume with an `fsGroup`: root's, open to the group, the group inherited.
        succeed(as_root(&[
            "install",
            "-d",
            "-o",
            "0",
            "-g",
            "65532",
            "-m",
            "2775",
            &at("state"),
        ]));
        succeed(as_root(&["chmod", "0755", &at("")]));
        root
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.0.path().join(inside)
    }

    /// The program in there, with these variables and no others but the path.
    fn program(&self, variables: &[(&str, &str)], words: &[&str]) -> Command {
        let variables: Vec<String> = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut all = vec!["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"];
        all.extend(variables.iter().map(String::as_str));
        let root = self.path("");
        let user = format!("--userspec={USER}");
        all.extend([
            "chroot",
            &user,
            "--groups=",
            root.to_str().unwrap(),
            "/baton-coupa",
        ]);
        all.extend(words);
        as_root(&all)
    }

    /// A sync of that tenant.
    async fn sync(&self, sandbox: &Running) -> Output {
        let variables = [
            ("BATON_COUPA_BASE_URL", sandbox.base_url()),
            ("BATON_COUPA_CLIENT_ID", sandbox.client_id().to_owned()),
            ("BATON_COUPA_CLIENT_SECRET", sandbox.client_secret().to_owned()),
            ("BATON_STATE_DIR", "/state".to_owned()),
            ("BATON_TMPDIR", "/tmp".to_owned()),
            ("BATON_FILE", "/state/sync.c1z".to_owned()),
        ];
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        output(self.program(&variables, &[])).await
    }

    /// Everything in there, sorted.
    fn listing(&self, inside: &str) -> Vec<String> {
        let found = succeed(as_root(&[
            "find",
            self.path(inside).to_str().unwrap(),
            "-printf",
            "%P\n",
        ]));
        let mut lines: Vec<_> = String::from_utf8(found.stdout)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort_unstable();
        lines
    }
}

impl Drop for BareRoot {
    fn drop(&mut self) {
        // What the other user made, only root can remove.
        let _ = as_root(&["rm", "-rf", self.path("state").to_str().unwrap()]).status();
    }
}

/// A tenant behind HTTPS, and the authority that its certificate is from.
async fn tenant(folder: &Path) -> (Running, String) {
    let authority = Authority::new("authority of one test");
    let leaf = authority.issue(&["127.0.0.1"]);
    let files = TlsFiles {
        cert: folder.join("cert.pem"),
        key: folder.join("key.pem"),
    };
    fs::write(&files.cert, leaf.cert).unwrap();
    fs::write(&files.key, leaf.key).unwrap();
    let config = SandboxConfig {
        users: 1200,
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config, ([127, 0, 0, 1], 0).into(), Some(files))
        .await
        .unwrap();
    (sandbox, authority.pem())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the static binary: bash .ci/bare-root"]
async fn the_static_binary_syncs_over_https() {
    let folder = TempDir::new().unwrap();
    let (sandbox, authority) = tenant(folder.path()).await;
    let root = BareRoot::new(Some(&authority));
    let outside_state = |line: &String| !line.starts_with("state/");
    let before: Vec<_> = root.listing("").into_iter().filter(outside_state).collect();

    let done = root.sync(&sandbox).await;
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(done.stdout.is_empty());

    let file = succeed(as_root(&["cat", root.path("state/sync.c1z").to_str().unwrap()])).stdout;
    let copy = folder.path().join("sync.c1z");
    fs::write(&copy, file).unwrap();
    assert_equal(&reader::read(&copy), &sandbox.truth(), &DEFAULT_CLASSES);
    let after: Vec<_> = root.listing("").into_iter().filter(outside_state).collect();
    assert_eq!(before, after, "nothing is left but in the state directory");

    // What it kept is taken by the next run: the same user, the same volume.
    let again = root.sync(&sandbox).await;
    assert!(again.status.success(), "{}", stderr(&again));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the static binary: bash .ci/bare-root"]
async fn without_authorities_it_says_so_and_trusts_nobody() {
    let folder = TempDir::new().unwrap();
    let (sandbox, _) = tenant(folder.path()).await;
    let stranger = Authority::new("somebody else");
    for (bundle, code, says) in [
        (None, 13, "CA certificates"),
        (Some(stranger.pem()), 14, "certificate"),
    ] {
        let root = BareRoot::new(bundle.as_deref());
        let refused = root.sync(&sandbox).await;
        let told = stderr(&refused);
        assert_eq!(refused.status.code(), Some(code), "{told}");
        let last = told.lines().last().unwrap_or_default();
        assert!(last.contains(says), "{last}");
        assert!(!root.path("state/sync.c1z").exists());
        assert_eq!(sandbox.stats().token, 0, "no secret was sent");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the static binary: bash .ci/bare-root"]
async fn it_tells_of_itself_there() {
    let root = BareRoot::new(None);
    let printed = async |words: &[&str]| {
        let done = output(root.program(&[], words)).await;
        assert!(done.status.success(), "{words:?}: {}", stderr(&done));
        String::from_utf8(done.stdout).unwrap()
    };
    assert!(printed(&["--version"]).await.starts_with("baton-coupa version "));
    assert_eq!(printed(&["capabilities"]).await, text("baton_capabilities.json"));
    assert_eq!(printed(&["config"]).await, text("config_schema.json"));
    let nobody = output(root.program(&[], &["health-check", "--endpoint=live"])).await;
    assert!(!nobody.status.success(), "no daemon runs there");
}
