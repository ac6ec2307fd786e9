//! The files that a recording uploads and downloads, and the web server that they come from.
//!
//! Their contents were not kept. What takes their place has the recorded length and format.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{Response, StatusCode, header};
use axum::routing::get;
use hyper::ext::ReasonPhrase;

use super::Record;
use crate::simulator::checksum_of;

/// The names that the recorder's web server had, with their lengths.
const SERVED: &[(&str, usize)] = &[("tiny.iso", 358_400), ("disk.qcow2", 196_616)];

fn extension(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}

/// The bytes of a file called `name`. A disk image has the header of one of 32 MiB.
fn contents(name: &str, length: usize) -> Vec<u8> {
    let mut data = vec![1; length];
    if extension(name) == "qcow2" && length >= 104 {
        data[..104].fill(0);
        data[..4].copy_from_slice(b"QFI\xfb");
        data[7] = 3;
        data[24..32].copy_from_slice(&(32_u64 << 20).to_be_bytes());
    }
    data
}

/// The bytes that an upload carries: as many as make the recorded length of the request.
pub(super) fn uploaded(record: &Record, name: &str) -> Vec<u8> {
    // A part has its boundary, a line that names it, and its value, each with line ends.
    let part = |name: &str, value: usize| 20 + 39 + name.len() + 4 + value;
    let fields = record.params.iter().flatten();
    let around: usize = fields
        .map(|(key, value)| match value.as_str() {
            Some(text) if text.starts_with("<multipart") => part(key, 13 + name.len() + 40 + 3),
            Some(text) => part(key, text.len() + 2),
            None => part(key, value.to_string().len() + 2),
        })
        .sum();
    let total = record.request_body.as_deref().and_then(|text| {
        let number = text.trim_start_matches('<').split(' ').next()?;
        number.parse::<usize>().ok()
    });
    contents(
        name,
        total.map_or(0, |total| total.saturating_sub(around + 21)),
    )
}

/// The checksum that takes the place of a recorded one: that of the file which takes the place of the
/// recorded file. A made-up checksum stays.
pub(super) fn checksum(record: &Record, recorded: &str) -> Option<String> {
    let param = |name: &str| {
        let mut all = record.params.iter().flatten();
        all.find(|(key, _)| key == name)
            .and_then(|(_, value)| value.as_str())
    };
    let is_made_up = recorded.chars().all(|c| recorded.starts_with(c));
    let algorithm = param("checksum-algorithm")?;
    let data = match (param("url"), param("filename")) {
        (Some(url), _) => {
            let name = url.rsplit('/').next()?;
            let (_, length) = SERVED.iter().find(|(served, _)| *served == name)?;
            contents(name, *length)
        }
        (None, Some(name)) => uploaded(record, upload_name(name)?),
        (None, None) => return None,
    };
    let ours = checksum_of(algorithm, &data)?;
    (!is_made_up && ours.len() == recorded.len()).then_some(ours)
}

/// The file name behind `<multipart file x.iso>`.
pub(super) fn upload_name(placeholder: &str) -> Option<&str> {
    placeholder
        .strip_prefix("<multipart file ")?
        .strip_suffix('>')
}

/// Serves the files on a free port of loopback; its address.
pub(super) async fn serve() -> std::io::Result<std::net::SocketAddr> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let routes = Router::new().route(
        "/{name}",
        get(|Path(name): Path<String>| std::future::ready(file(&name))),
    );
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(address)
}

fn file(name: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let Some((_, length)) = SERVED.iter().find(|(served, _)| *served == name) else {
        *response.status_mut() = StatusCode::NOT_FOUND;
        response
            .extensions_mut()
            .insert(ReasonPhrase::from_static(b"File not found"));
        return response;
    };
    let kind = if extension(name) == "iso" {
        "application/x-iso9660-image"
    } else {
        "application/octet-stream"
    };
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    *response.body_mut() = Body::from(contents(name, *length));
    response
}
