//! The file of this machine that an image is made from.

use std::{fs::File, io, path::Path};

use aws_lc_rs::digest::{Context, SHA256};

use crate::framework::Plan;

/// Reads the file that a plan names, for its checksum decides whether the image changes.
pub(super) async fn observe(plan: &mut Plan<'_>) {
    let Some(path) = plan.config.get("file").as_str().map(str::to_owned) else {
        return;
    };
    match sha256(&path).await {
        Ok(sum) => plan.set("file_sha256", sum),
        Err(error) if plan.prior.get("file_sha256").is_null() => plan.error(
            "file",
            "The file cannot be read",
            format!("{path} on this machine: {error}."),
        ),
        Err(error) => plan.warn(
            "file",
            "The file cannot be compared",
            format!("{path} on this machine: {error}. The image stays as it is."),
        ),
    }
}

/// The SHA-256 sum of a file, in hex digits.
pub(super) async fn sha256(path: &str) -> io::Result<String> {
    let path = Path::new(path).to_owned();
    let summing = tokio::task::spawn_blocking(move || {
        let mut context = Writer(Context::new(&SHA256));
        io::copy(&mut File::open(path)?, &mut context)?;
        let sum = context.0.finish();
        Ok(sum
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    });
    summing.await.map_err(io::Error::other)?
}

struct Writer(Context);

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
