//! A provider of notes in files, with one of everything that core can call.
//!
//! It shows how the framework is used by somebody who has no Proxmox VE, and it is what the protocol
//! is tested with under real cores. Every line of its journal is something that core asked for.

mod case;
mod key;
mod note;
mod shelf;

use std::{process::ExitCode, sync::Arc};

// The derive names the framework from the root of the crate.
use provider::framework;

use case::CaseResource;
use framework::{
    AnyDataSource, AnyEphemeralResource, AnyListResource, AnyResource, Failure, Function, Model,
    Parameter, Provider, Result, Schema, Type, data_source, ephemeral, list, resource,
};
use key::KeyResource;
use note::NoteResource;
use serde::{Deserialize, Serialize};
use shelf::{ShelfData, Shelves};

fn main() -> ExitCode {
    provider::plugin::serve(Everything)
}

/// Notes in a directory.
#[derive(Clone, Serialize, Deserialize, Model)]
struct Config {
    /// Where they are.
    directory: String,
}

/// What a module says of itself.
#[derive(Clone, Serialize, Deserialize, Model)]
struct Meta {
    /// Its name, which notes are signed with.
    module: Option<String>,
}

struct Everything;

impl Provider for Everything {
    const ADDRESS: &'static str = "registry.opentofu.org/example/everything";
    const FORMERLY: &'static [&'static str] = &["former/everything"];
    type Config = Config;
    type Client = Shelves;

    fn resources(&self) -> Vec<Arc<dyn AnyResource<Shelves>>> {
        vec![resource::erase(NoteResource), resource::erase(CaseResource)]
    }

    fn data_sources(&self) -> Vec<Arc<dyn AnyDataSource<Shelves>>> {
        vec![data_source::erase(ShelfData)]
    }

    fn ephemeral_resources(&self) -> Vec<Arc<dyn AnyEphemeralResource<Shelves>>> {
        vec![ephemeral::erase(KeyResource)]
    }

    fn lists(&self) -> Vec<Arc<dyn AnyListResource<Shelves>>> {
        vec![list::erase(NoteResource)]
    }

    fn functions(&self) -> Vec<Function> {
        vec![Function {
            name: "slug",
            summary: "Makes a name of a title",
            description: "Makes a name of a title: lower-case words with hyphens between.",
            parameters: vec![Parameter {
                name: "title",
                description: "The title.",
                ty: Type::String,
                allow_null: false,
            }],
            variadic: None,
            returns: Type::String,
            call: |arguments| {
                let title = arguments[0].as_str().unwrap_or_default().to_lowercase();
                let words: Vec<&str> = title.split_whitespace().collect();
                Ok(words.join("-").into())
            },
        }]
    }

    fn meta(&self) -> Option<Schema> {
        Some(Meta::schema())
    }

    fn configure(&self, config: Config, unknown: &[String]) -> Result<Shelves> {
        match unknown.is_empty() {
            true => Ok(Shelves(config.directory.into())),
            false => Err(Failure::new("the directory must be known").at("directory")),
        }
    }
}
