//! The real `tofu` with the real provider against a simulated cluster, one module per resource.
//!
//! Guests are scripted ones, which boot in an instant; what needs a real guest says so.

mod bridge;
mod bridges;
mod cores;
mod datastores;
mod debugging;
mod docker_lxc;
mod docker_vm;
mod examples;
mod image;
mod logins;
mod nodes;
mod process;
mod provider;
mod scene;
mod secrets;
mod stack;
