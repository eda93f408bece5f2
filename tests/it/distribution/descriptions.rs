//! The two descriptions that the platform reads at publication are what the program says of itself. They are made by it
//! (`UPDATE_GOLDEN=1 cargo test golden`), never by hand.

use crate::support::program::{assert_golden, printed};

#[tokio::test(flavor = "multi_thread")]
async fn golden_descriptions_are_what_the_program_says() {
    for (command, file) in [
        ("capabilities", "baton_capabilities.json"),
        ("config", "config_schema.json"),
    ] {
        assert_golden(file, &printed(&[command]).await);
    }
}
