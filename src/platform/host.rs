//! Which machine this is and what runs on it, as the platform wants to know: facts only, and never an empty text, for which the
//! platform refuses a registration.

use std::fs;
use std::str::FromStr;

use crate::proto::connector::ConnectorMetadata;
use crate::proto::platform::BatonServiceHelloRequest;
use crate::proto::platform::baton_service_hello_request::{BuildInfo, OsInfo};

use super::task::TaskId;

/// Said where a fact cannot be found out.
const UNKNOWN: &str = "unknown";

/// The host id of a machine without a name (baton-sdk: pkg/tasks/c1api).
const NAMELESS: &str = "baton-sdk";

/// Longest host id that the platform takes, in characters.
const LONGEST: usize = 256;

/// Name by which the platform knows this daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostId(String);

/// The text is empty or too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to {LONGEST} characters")]
pub struct NotAHostId;

impl HostId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostId {
    type Err = NotAHostId;

    fn from_str(text: &str) -> Result<Self, NotAHostId> {
        if (1..=LONGEST).contains(&text.chars().count()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAHostId)
        }
    }
}

/// What is said of this machine and this program.
pub(super) struct Facts {
    pub(super) host_id: HostId,
    build: BuildInfo,
    os: OsInfo,
}

impl Facts {
    /// Asks the system. `named` is the host id that somebody chose.
    pub(super) fn find(named: Option<HostId>) -> Self {
        let system = rustix::system::uname();
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        let system = System {
            hostname: text(system.nodename()),
            release: text(system.release()),
            machine: text(system.machine()),
        };
        let read = |path: &str| fs::read_to_string(path).ok();
        let in_cluster = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        Self {
            host_id: named
                .or_else(|| system.hostname.parse().ok())
                .unwrap_or_else(|| HostId(NAMELESS.to_owned())),
            build: BuildInfo {
                lang_version: env!("BATON_COUPA_LANG").to_owned(),
                package: env!("CARGO_PKG_NAME").to_owned(),
                package_version: env!("BATON_COUPA_VERSION").to_owned(),
            },
            os: os_info(&system, &read, in_cluster),
        }
    }

    /// The introduction.
    pub(super) fn hello(
        &self,
        task: Option<&TaskId>,
        metadata: ConnectorMetadata,
    ) -> BatonServiceHelloRequest {
        BatonServiceHelloRequest {
            host_id: self.host_id.as_str().to_owned(),
            task_id: task.map(ToString::to_string).unwrap_or_default(),
            build_info: Some(self.build.clone()),
            os_info: Some(self.os.clone()),
            connector_metadata: Some(metadata),
            annotations: Vec::new(),
        }
    }
}

/// What the kernel says.
struct System {
    hostname: String,
    release: String,
    machine: String,
}

fn os_info(system: &System, read: &dyn Fn(&str) -> Option<String>, in_cluster: bool) -> OsInfo {
    let release = read("/etc/os-release")
        .or_else(|| read("/usr/lib/os-release"))
        .unwrap_or_default();
    let os = std::env::consts::OS;
    let platform = value(&release, "ID").unwrap_or_else(|| os.to_owned());
    // A distribution that names no relatives is the head of its family.
    let family = value(&release, "ID_LIKE")
        .and_then(|like| like.split_whitespace().next().map(str::to_owned))
        .unwrap_or_else(|| platform.clone());
    let version = value(&release, "VERSION_ID").or_else(|| value(&release, "BUILD_ID"));
    OsInfo {
        hostname: or(system.hostname.clone(), NAMELESS),
        os: os.to_owned(),
        platform,
        platform_version: version.unwrap_or_else(|| or(system.release.clone(), UNKNOWN)),
        platform_family: family,
        kernel_version: or(system.release.clone(), UNKNOWN),
        kernel_arch: or(system.machine.clone(), std::env::consts::ARCH),
        virtualization_system: virtualization(read, in_cluster).to_owned(),
    }
}

fn or(text: String, otherwise: &str) -> String {
    if text.is_empty() {
        otherwise.to_owned()
    } else {
        text
    }
}

/// A value of an os-release file: `NAME=value`, perhaps quoted.
fn value(text: &str, name: &str) -> Option<String> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    let value = line.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}

/// `container` where one shows, `none` where the processor says that no hypervisor is below, `unknown` otherwise.
fn virtualization(read: &dyn Fn(&str) -> Option<String>, in_cluster: bool) -> &'static str {
    const MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];
    const RUNTIMES: [&str; 5] = ["docker", "kubepods", "containerd", "libpod", "lxc"];
    let marked = MARKS.iter().any(|path| read(path).is_some());
    let grouped =
        read("/proc/1/cgroup").is_some_and(|groups| RUNTIMES.iter().any(|runtime| groups.contains(runtime)));
    if in_cluster || marked || grouped {
        return "container";
    }
    let processor = read("/proc/cpuinfo").unwrap_or_default();
    // Only x86 processors have this line; others do not tell.
    let flags = processor.lines().find(|line| line.starts_with("flags"));
    match flags.map(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor")) {
        Some(false) => "none",
        Some(true) | None => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DEBIAN: &str = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n";
    const ALMA: &str = "ID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\n";

    fn info(files: &[(&str, &str)], in_cluster: bool) -> OsInfo {
        let system = System {
            hostname: "node-1".into(),
            release: "6.1.0".into(),
            machine: "x86_64".into(),
        };
        let read = |path: &str| {
            let found = files.iter().find(|(known, _)| *known == path);
            found.map(|(_, text)| (*text).to_owned())
        };
        os_info(&system, &read, in_cluster)
    }

    fn texts(info: &OsInfo) -> [&str; 8] {
        [
            &info.hostname,
            &info.os,
            &info.platform,
            &info.platform_version,
            &info.platform_family,
            &info.kernel_version,
            &info.kernel_arch,
            &info.virtualization_system,
        ]
    }

    #[test]
    fn a_machine_is_described_by_what_it_says() {
        let metal = "flags\t\t: fpu vme\n";
        let debian = info(&[("/etc/os-release", DEBIAN), ("/proc/cpuinfo", metal)], false);
        let os = std::env::consts::OS;
        assert_eq!(
            texts(&debian),
            ["node-1", os, "debian", "12", "debian", "6.1.0", "x86_64", "none"]
        );
        let alma = info(&[("/usr/lib/os-release", ALMA)], true);
        assert_eq!(
            texts(&alma)[2..],
            ["almalinux", "9.4", "rhel", "6.1.0", "x86_64", "container"]
        );
    }

    #[test]
    fn nothing_is_empty_where_nothing_is_known() {
        let silent = System {
            hostname: String::new(),
            release: String::new(),
            machine: String::new(),
        };
        let info = os_info(&silent, &|_| None, false);
        assert!(texts(&info).iter().all(|text| !text.is_empty()));
        assert_eq!(info.hostname, "baton-sdk");
        let here = Facts::find(None).hello(None, ConnectorMetadata::default());
        assert!(texts(&here.os_info.unwrap()).iter().all(|text| !text.is_empty()));
        let build = here.build_info.unwrap();
        assert!(build.lang_version.starts_with("rust1."), "{}", build.lang_version);
        assert!(!build.package.is_empty() && !build.package_version.is_empty());
    }

    #[test]
    fn a_container_is_told_from_a_machine() {
        let seen = |files: &[(&str, &str)]| info(files, false).virtualization_system;
        assert_eq!(seen(&[("/.dockerenv", "")]), "container");
        assert_eq!(seen(&[("/proc/1/cgroup", "0::/kubepods/x")]), "container");
        assert_eq!(seen(&[("/proc/1/cgroup", "0::/init.scope")]), "unknown");
        assert_eq!(seen(&[("/proc/cpuinfo", "flags : fpu hypervisor\n")]), "unknown");
    }

    #[test]
    fn a_host_id_is_neither_empty_nor_endless() {
        assert!("".parse::<HostId>().is_err());
        assert!("ä".repeat(257).parse::<HostId>().is_err());
        assert_eq!("ä".repeat(256).parse::<HostId>().unwrap().as_str().len(), 512);
        let named = Facts::find(Some("pod-7".parse().unwrap()));
        assert_eq!(named.hello(None, ConnectorMetadata::default()).host_id, "pod-7");
    }
}
