//! What `pmoves_image` asks of the API and what a plan of it means.

use expect_test::expect;

use super::*;
use crate::framework::model::check_model;

fn image() -> Image {
    Image {
        node_name: "pve1".into(),
        datastore_id: "local".into(),
        content_type: Some("import".into()),
        url: Some("https://example.com/debian-13.qcow2".into()),
        checksum: Some("ab".repeat(32)),
        checksum_algorithm: Some("sha256".into()),
        file_name: Some("debian-13-abababababab.qcow2".into()),
        verify: Some(true),
        ..Image::default()
    }
}

#[test]
fn the_model_matches_its_schema() {
    check_model::<Image>();
}

#[test]
fn a_download_names_file_and_checksum() {
    expect!["POST /nodes/pve1/storage/local/download-url checksum=abababababababababababababababababababababababababababababababab checksum-algorithm=sha256 content=import filename=debian-13-abababababab.qcow2 url=https://example.com/debian-13.qcow2"]
        .assert_eq(&calls::download(&image()).to_string());
}

#[test]
fn a_packed_cd_image_is_unpacked_by_the_node() {
    let packed = Image {
        content_type: Some("iso".into()),
        url: Some("https://example.com/rescue.iso.gz".into()),
        file_name: Some("rescue.iso".into()),
        ..image()
    };
    let call = calls::download(&packed).to_string();
    assert!(call.contains("compression=gz"), "{call}");
    assert!(
        !calls::download(&image())
            .to_string()
            .contains("compression")
    );
}

#[test]
fn a_template_is_asked_for_by_name() {
    let template = Image {
        content_type: Some("vztmpl".into()),
        url: None,
        template: Some("debian-13-standard_13.1-2_amd64.tar.zst".into()),
        ..image()
    };
    expect![
        "POST /nodes/pve1/aplinfo storage=local template=debian-13-standard_13.1-2_amd64.tar.zst"
    ]
    .assert_eq(&calls::appliance(&template).to_string());
}

#[tokio::test]
async fn a_file_is_summed_up() {
    let path = std::env::temp_dir().join(format!("pmoves-sum-{}", std::process::id()));
    std::fs::write(&path, b"abc").unwrap();
    let sum = file::sha256(path.to_str().unwrap()).await;
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        sum.unwrap(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert!(file::sha256("/nowhere").await.is_err());
}

#[test]
fn the_stored_name_tells_images_apart() {
    let sum = "0123456789ABCDEF";
    for (url, checksum, name) in [
        (
            "https://x/noble-server.img",
            Some(sum),
            "noble-server-0123456789ab.qcow2",
        ),
        ("https://x/a%20b.raw?x=1", None, "a_20b.raw"),
    ] {
        assert_eq!(stored_name(url, checksum, "import"), name);
    }
    assert_eq!(stored_name("https://x/a.img", None, "iso"), "a.img");
    assert_eq!(stored_name("https://x/a.iso.zst?y", None, "iso"), "a.iso");
    assert_eq!(
        stored_name("alpine.tar.xz", Some(sum), "vztmpl"),
        "alpine-0123456789ab.tar.xz"
    );
}

#[test]
fn an_import_id_names_node_and_volume() {
    let json = ImageResource::import("pve1/local:import/a.qcow2").unwrap();
    assert_eq!(json["id"], "local:import/a.qcow2");
    assert!(ImageResource::import("a.qcow2").is_err());
}
