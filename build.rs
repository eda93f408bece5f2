//! Compiles the protocol without protoc: protox parses `proto/`, tonic-prost-build writes messages and service traits,
//! and the descriptor set is kept for reflection and canonical JSON.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use protox::prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("proto");
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-env-changed=BATON_COUPA_VERSION");
    // Release builds put the tag here; a plain build says so.
    let version = env::var("BATON_COUPA_VERSION").unwrap_or_else(|_| "dev".to_owned());
    println!("cargo::rustc-env=BATON_COUPA_VERSION={version}");
    println!("cargo::rustc-env=BATON_COUPA_LANG={}", language());

    let mut files = Vec::new();
    collect(root, &mut files)?;
    files.sort();

    let descriptors = protox::compile(&files, [root])?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;

    let mut prost = tonic_prost_build::Config::new();
    // Go peers match annotations by type URL, so the domain is part of the contract.
    prost.enable_type_names();
    prost.type_name_domain(["."], "type.googleapis.com");
    // Stored rows are compared byte by byte, so equal messages must encode to equal bytes: maps in key order.
    prost.btree_map(["."]);
    tonic_prost_build::configure()
        .build_client(true)
        .build_server(true)
        .include_file("_includes.rs")
        // Requests and rows carry personal values: nothing may print them by accident.
        .skip_debug(["."])
        .compile_fds_with_config(descriptors, prost)?;
    Ok(())
}

/// The compiler at work, for instance `rust1.95.0`; `rust1` if it does not tell.
fn language() -> String {
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let told = Command::new(compiler).arg("--version").output().ok();
    let text = told.and_then(|told| String::from_utf8(told.stdout).ok());
    let version = text.as_deref().and_then(|text| text.split_whitespace().nth(1));
    format!("rust{}", version.unwrap_or("1"))
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|ext| ext == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
