//! The agent's file handles.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Error, decode, generic};
use crate::guests::scripted::shim::Root;

/// Handles do not start at 0, so that one which was never opened is noticed.
const FIRST: u64 = 1000;
const READ_DEFAULT: u64 = 4096;
const READ_LIMIT: u64 = 48 * 1024 * 1024;

#[derive(Default)]
pub(super) struct Files {
    opened: u64,
    open: HashMap<u64, File>,
}

impl Files {
    pub(super) fn open(&mut self, root: &Root, args: &Value) -> Result<Value, Error> {
        let path = args["path"].as_str().unwrap_or_default();
        let mode = args["mode"].as_str().unwrap_or("r");
        let mut options = OpenOptions::new();
        match mode.trim_end_matches(['b', '+']) {
            "r" => options.read(true).write(mode.contains('+')),
            "w" => options
                .write(true)
                .create(true)
                .truncate(true)
                .read(mode.contains('+')),
            "a" => options.append(true).create(true).read(mode.contains('+')),
            _ => return Err(generic(format!("invalid file open mode '{mode}'"))),
        };
        let file = options.open(root.path(path)).map_err(|error| {
            let text = error.to_string();
            let why = text.split(" (os error").next().unwrap_or_default();
            generic(format!(
                "failed to open file '{path}' (mode: '{mode}'): {why}"
            ))
        })?;
        self.opened += 1;
        let handle = FIRST + self.opened;
        self.open.insert(handle, file);
        Ok(json!(handle))
    }

    pub(super) fn read(&mut self, args: &Value) -> Result<Value, Error> {
        let count = args["count"].as_u64().unwrap_or(READ_DEFAULT);
        if count > READ_LIMIT {
            return Err(generic(format!(
                "value '{count}' is invalid for argument count"
            )));
        }
        let file = self.handle(args)?;
        let mut bytes = Vec::new();
        file.take(count)
            .read_to_end(&mut bytes)
            .map_err(|error| generic(format!("failed to read file: {error}")))?;
        let eof = (bytes.len() as u64) < count;
        Ok(json!({"count": bytes.len(), "buf-b64": STANDARD.encode(bytes), "eof": eof}))
    }

    pub(super) fn write(&mut self, args: &Value) -> Result<Value, Error> {
        let bytes = decode(args["buf-b64"].as_str().unwrap_or_default())?;
        let file = self.handle(args)?;
        file.write_all(&bytes)
            .map_err(|error| generic(format!("failed to write to file: {error}")))?;
        Ok(json!({"count": bytes.len(), "eof": false}))
    }

    pub(super) fn close(&mut self, args: &Value) -> Result<Value, Error> {
        self.handle(args)?;
        self.open
            .remove(&args["handle"].as_u64().unwrap_or_default());
        Ok(json!({}))
    }

    fn handle(&mut self, args: &Value) -> Result<&mut File, Error> {
        let handle = args["handle"].as_u64().unwrap_or_default();
        let unknown = || generic(format!("handle '{handle}' has not been found"));
        self.open.get_mut(&handle).ok_or_else(unknown)
    }
}
