//! The stand-in for docker, systemctl, apt-get and other programs in scripted guests.
//!
//! Which one it is, is said by the name that it is called by.

use std::process::ExitCode;

fn main() -> ExitCode {
    acceptance_tests::guests::scripted::shim::main()
}
