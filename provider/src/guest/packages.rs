//! Scripts that install packages with apt, for [`super::detached`].
//!
//! Never purges, never touches configuration files that are there, never adds recommended packages.

use super::quote;

/// Shell functions that every script here begins with.
pub const FUNCTIONS: &str = include_str!("packages/apt.sh");

/// A script that installs `packages` unless they are there.
pub fn install(packages: &[&str]) -> String {
    let words: Vec<_> = packages.iter().map(|package| quote(package)).collect();
    format!("{FUNCTIONS}refresh\napt install {}\n", words.join(" "))
}
