//! Makes the file system that real guests boot from, where the cache has none: the last step of `./x setup`.
//!
//! Starts no guest; `lab-check` does.

use std::process::ExitCode;

use acceptance_tests::guests::Rootfs;

#[tokio::main]
async fn main() -> ExitCode {
    match Rootfs::ready().await {
        Ok(_) => {
            eprintln!("   there: the guests' file system");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
