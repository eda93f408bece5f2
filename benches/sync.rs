//! What a whole sync costs: requests against the floor, wall time, CPU and peak memory, each sandbox in its own process.
//!
//! `cargo bench --bench sync -- [USERS ...] [--pace N] [--latency-ms N] [--rate N]`: sizes default to 2000 and 20000, the client's
//! pace to 1000 requests/s; other options go to the sandbox. Figures of the
//! process come from `/proc`, so this runs on Linux. The floor is one request per 50 users, groups and roles (Coupa: 50 rows per call).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

const PROGRAM: &str = env!("CARGO_BIN_EXE_baton-coupa");
const ROWS_PER_CALL: u64 = 50;
const GROUPS: u64 = 400;
const ROLES: u64 = 150;
/// Ticks per second of `/proc/PID/stat` on every Linux in use.
const TICKS: f64 = 100.0;

struct Options {
    sizes: Vec<u64>,
    /// Requests per second of the client.
    pace: String,
    /// Options for the sandbox.
    pass_on: Vec<String>,
}

fn options() -> Options {
    let mut options = Options {
        sizes: Vec::new(),
        pace: "1000".to_owned(),
        pass_on: Vec::new(),
    };
    let mut args = env::args().skip(1).filter(|arg| arg != "--bench");
    while let Some(arg) = args.next() {
        if arg == "--pace" {
            options.pace = args.next().expect("requests per second");
        } else if arg.starts_with("--") {
            options
                .pass_on
                .extend([arg, args.next().expect("a value after the option")]);
        } else {
            options.sizes.push(arg.parse().expect("a number of users"));
        }
    }
    if options.sizes.is_empty() {
        options.sizes = vec![2_000, 20_000];
    }
    options
}

/// A sandbox in its own process; killed when dropped.
struct Sandbox {
    child: Child,
    env: HashMap<String, String>,
}

impl Sandbox {
    fn start(users: u64, pass_on: &[String]) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["sandbox", "--listen", "127.0.0.1:0"])
            .args([
                "--users",
                &users.to_string(),
                "--groups",
                &GROUPS.to_string(),
                "--roles",
                &ROLES.to_string(),
            ])
            .args(pass_on)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut env = HashMap::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some((name, value)) = line.strip_prefix("export ").and_then(|rest| rest.split_once('=')) {
                env.insert(name.to_owned(), value.to_owned());
            }
            if env.len() == 3 {
                break;
            }
        }
        Self { child, env }
    }

    fn stats(&self) -> serde_json::Value {
        let authority = self.env["BATON_COUPA_BASE_URL"].strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(authority).unwrap();
        write!(
            stream,
            "GET /_sandbox/stats HTTP/1.0\r\nHost: {authority}\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Cost {
    wall: Duration,
    cpu: f64,
    peak_mib: f64,
    bytes: u64,
}

fn sync(sandbox: &Sandbox, folder: &Path, pace: &str) -> Cost {
    let file = folder.join("sync.c1z");
    let started = Instant::now();
    let mut child = Command::new(PROGRAM)
        .arg("--file")
        .arg(&file)
        .arg("--state-dir")
        .arg(folder.join("state"))
        .args(["--coupa-requests-per-second", pace, "--log-level", "error"])
        .envs(&sandbox.env)
        .spawn()
        .unwrap();
    let (mut cpu, mut peak_mib) = (0.0, 0.0);
    while child.try_wait().unwrap().is_none() {
        let proc = Path::new("/proc").join(child.id().to_string());
        if let Some(now) = fs::read_to_string(proc.join("stat"))
            .ok()
            .and_then(|stat| cpu_seconds(&stat))
        {
            cpu = now;
        }
        if let Some(now) = fs::read_to_string(proc.join("status"))
            .ok()
            .and_then(|status| peak(&status))
        {
            peak_mib = now;
        }
        thread::sleep(Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success(), "the sync failed");
    Cost {
        wall: started.elapsed(),
        cpu,
        peak_mib,
        bytes: fs::metadata(&file).unwrap().len(),
    }
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    Some((fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?) / TICKS)
}

fn peak(status: &str) -> Option<f64> {
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}

fn main() {
    let options = options();
    println!("users     requests  floor  ratio  in budget     wall s  cpu s  peak MiB  file KiB");
    for users in options.sizes {
        let sandbox = Sandbox::start(users, &options.pass_on);
        let folder = tempfile::tempdir().unwrap();
        let cost = sync(&sandbox, folder.path(), &options.pace);
        let stats = sandbox.stats();
        let requests = stats["api-total"].as_u64().unwrap() + stats["token"].as_u64().unwrap();
        let floor =
            users.div_ceil(ROWS_PER_CALL) + GROUPS.div_ceil(ROWS_PER_CALL) + ROLES.div_ceil(ROWS_PER_CALL);
        #[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
        let ratio = requests as f64 / floor as f64;
        println!(
            "{users:<9} {requests:<9} {floor:<6} {ratio:<6.3} {:<13} {:<7.2} {:<6.2} {:<9.1} {}",
            requests <= floor + floor / 50 + 32,
            cost.wall.as_secs_f64(),
            cost.cpu,
            cost.peak_mib,
            cost.bytes / 1024,
        );
    }
}
