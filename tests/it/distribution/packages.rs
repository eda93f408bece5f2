//! The archives of a release, made by `.ci/package` from the built program and read by what did not write them.

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flate2::read::GzDecoder;
use regex::Regex;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::place;

const BINARY: &str = env!("CARGO_BIN_EXE_baton-coupa");

/// By which the ecosystem's download script finds an archive, after the name of the connector.
const FOUND_BY: &str = r"^baton-coupa-v\d+\.\d+\.\d+-(linux|darwin)-(amd64|arm64)\.(tar\.gz|zip)$";

fn package(words: [&str; 3], binary: &str, directory: &Path) -> Output {
    Command::new(place(".ci/package"))
        .args(words)
        .args([Path::new(binary), directory])
        .output()
        .unwrap()
}

fn packed(words: [&str; 3], binary: &str, directory: &Path) {
    let done = package(words, binary, directory);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Name, rights and content of all that is in an archive.
fn content(archive: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let file = fs::File::open(archive).unwrap();
    let mut found = Vec::new();
    if archive.extension().unwrap() == "zip" {
        let mut zip = zip::ZipArchive::new(file).unwrap();
        for at in 0..zip.len() {
            let mut entry = zip.by_index(at).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            found.push((
                entry.name().unwrap().into_owned().into(),
                entry.unix_mode().unwrap() & 0o7777,
                bytes,
            ));
        }
    } else {
        let mut tar = tar::Archive::new(GzDecoder::new(file));
        for entry in tar.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            let header = entry.header();
            assert_eq!(
                (header.uid().unwrap(), header.gid().unwrap()),
                (0, 0),
                "nobody of this machine"
            );
            found.push((entry.path().unwrap().into_owned(), header.mode().unwrap(), bytes));
        }
    }
    found
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
#[ignore = "needs GNU tar and zip: bash .ci/packages"]
fn each_archive_holds_the_binary_alone_under_the_name_that_is_looked_for() {
    let (folder, out) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    // The built program where it would go, something short for the targets that it is not for.
    let short = folder.path().join("short");
    fs::write(&short, "another build").unwrap();
    let short = short.to_str().unwrap();
    let targets = [
        ("darwin", "amd64", short),
        ("darwin", "arm64", short),
        ("linux", "amd64", BINARY),
        ("linux", "arm64", short),
    ];
    for (os, arch, binary) in targets {
        packed([os, arch, "v1.2.3"], binary, out.path());
    }
    let archives = [
        "baton-coupa-v1.2.3-darwin-amd64.zip",
        "baton-coupa-v1.2.3-darwin-arm64.zip",
        "baton-coupa-v1.2.3-linux-amd64.tar.gz",
        "baton-coupa-v1.2.3-linux-arm64.tar.gz",
    ];
    let checksums = "baton-coupa_1.2.3_checksums.txt";
    assert_eq!(names(out.path()), [&archives[..], &[checksums]].concat());

    let found_by = Regex::new(FOUND_BY).unwrap();
    let mut expected = String::new();
    for (archive, (_, _, binary)) in archives.into_iter().zip(targets) {
        assert!(found_by.is_match(archive));
        let path = out.path().join(archive);
        let all = content(&path);
        let (name, rights, bytes) = &all[0];
        assert_eq!(
            (all.len(), name.as_path(), *rights),
            (1, Path::new("baton-coupa"), 0o755),
            "{archive}"
        );
        assert!(*bytes == fs::read(binary).unwrap(), "{archive}");
        for byte in Sha256::digest(fs::read(&path).unwrap()) {
            write!(expected, "{byte:02x}").unwrap();
        }
        writeln!(expected, "  {archive}").unwrap();
    }
    assert_eq!(fs::read_to_string(out.path().join(checksums)).unwrap(), expected);
}

#[test]
#[ignore = "needs GNU tar and zip: bash .ci/packages"]
fn equal_binaries_make_equal_archives() {
    let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let program = first.path().join("program");
    fs::write(&program, "what a build made").unwrap();
    let same = second.path().join("of another name and moment");
    fs::write(&same, "what a build made").unwrap();
    let a_day = std::time::Duration::from_hours(24);
    let older = std::time::SystemTime::now() - a_day;
    fs::File::options()
        .write(true)
        .open(&same)
        .unwrap()
        .set_modified(older)
        .unwrap();
    for os in ["linux", "darwin"] {
        for (directory, binary) in [(&first, &program), (&second, &same)] {
            let out = directory.path().join("out");
            packed([os, "arm64", "1.2.3"], binary.to_str().unwrap(), &out);
            // Twice over is no second line.
            packed([os, "arm64", "1.2.3"], binary.to_str().unwrap(), &out);
        }
    }
    let (first, second) = (first.path().join("out"), second.path().join("out"));
    assert_eq!(names(&first), names(&second));
    assert_eq!(names(&first).len(), 3);
    for name in names(&first) {
        assert!(
            fs::read(first.join(&name)).unwrap() == fs::read(second.join(&name)).unwrap(),
            "{name}"
        );
    }
}

#[test]
#[ignore = "needs GNU tar and zip: bash .ci/packages"]
fn what_is_not_shipped_is_not_packed() {
    let out = TempDir::new().unwrap();
    for words in [
        ["windows", "amd64", "v1.2.3"],
        ["linux", "riscv64", "v1.2.3"],
        ["linux", "amd64", "dev"],
        ["linux", "amd64", "v1.2"],
    ] {
        let done = package(words, BINARY, out.path());
        assert_eq!(done.status.code(), Some(2), "{words:?}");
    }
    assert!(names(out.path()).is_empty());
    assert!(
        !package(["linux", "amd64", "v1.2.3"], "no such binary", out.path())
            .status
            .success()
    );
    assert!(names(out.path()).is_empty());
}
