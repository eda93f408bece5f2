# One command per tier. `just gate` is what CI runs.

default:
    @just --list

# Everything CI runs.
gate:
    bash .ci/run

# The README's test command.
test:
    cargo test

# Unit tests only, beside the code.
unit:
    cargo test --lib

# Sockets, files, the sandbox and the built binary.
it:
    cargo test --test it

# Kill -9 in the middle of syncs and changes, restart, compare with the truth.
crash:
    cargo test --test it crash

# The long form: every request that concerns the account, and this many moments drawn by lot.
crash-long kills="500":
    BATON_TEST_LONG=1 BATON_TEST_KILLS={{kills}} cargo test --test it changes::crash

# The tenant lies: every switchable reading, faults, storms, edits by others.
hostile:
    cargo test --test it -- truth changes::readings changes::matrix changes::edits changes::damage

# The long form: every fault on every call of every change.
hostile-long:
    BATON_TEST_LONG=1 cargo test --test it changes::matrix

# The engine of changes against an invented tenant: random readings, failures, crashes and edits by others.
model cases="20000":
    PROPTEST_CASES={{cases}} cargo test --lib provision::tests::model

# The static binary for this Linux machine, as a release has it; its path is the last line.
static profile="dist":
    .ci/static {{profile}}

# The static binary alone in a directory with a CA bundle: it syncs over HTTPS.
bare-root:
    bash .ci/bare-root

# The archive of a release with the static binary, and its checksum, in dist/.
package version:
    .ci/package linux {{ if arch() == "aarch64" { "arm64" } else { "amd64" } }} {{version}} "$(.ci/static dist)" dist

# Rewrite the golden files after a reviewed change.
golden:
    UPDATE_GOLDEN=1 cargo test golden

# Requests, time and memory of a whole sync against a sandbox in its own process.
bench:
    cargo bench --bench sync
