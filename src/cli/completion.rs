//! `completion`: the script with which a shell completes our command line.

use clap_complete::Shell;

use crate::config::{PROGRAM, command};

/// The script for `shell`.
pub fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), PROGRAM, &mut script);
    script
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::SHELLS;

    #[test]
    fn every_shell_learns_flags_and_commands_but_not_what_is_refused() {
        for (name, shell) in SHELLS {
            let script = String::from_utf8(script(shell)).unwrap();
            for word in ["coupa-domain", "health-listen", "capabilities", "sandbox-users"] {
                assert!(script.contains(word), "{name} lacks {word}");
            }
        }
    }
}
