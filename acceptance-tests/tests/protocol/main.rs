//! The provider of notes under every core that is at hand: what the framework promises to any provider.
//!
//! Knows no Proxmox VE. What a core is too old for must be refused by it in words.

mod bench;
mod life;
mod stored;
mod surfaces;
mod values;
