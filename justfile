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

# Kill -9 in the middle of a sync, restart, compare with the truth.
crash:
    cargo test --test it crash

# The tenant lies: every switchable reading, faults, storms.
hostile:
    cargo test --test it truth

# Rewrite the golden files after a reviewed change.
golden:
    UPDATE_GOLDEN=1 cargo test golden

# Requests, time and memory of a whole sync against a sandbox in its own process.
bench:
    cargo bench --bench sync
