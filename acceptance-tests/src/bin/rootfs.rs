//! Makes the file system that real guests boot from, where the cache has none: the last step of `./x setup`.
//!
//! Starts no guest; `lab-check` does. Where real guests do not run it says so, since the scripted one needs nothing.

use std::process::ExitCode;

use acceptance_tests::guests::{Lab, Rootfs};

#[tokio::main]
async fn main() -> ExitCode {
    if let Err(why) = Lab::available() {
        eprintln!("   {why}; the scripted guest is used");
        return ExitCode::SUCCESS;
    }
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
