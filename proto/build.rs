//! Generates the protocol from the `.proto` files; needs no `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["tfplugin6.proto", "go_plugin.proto", "health.proto"];
    for file in files {
        println!("cargo::rerun-if-changed={file}");
    }
    // Values stay slices of the message they came in, and maps print in one order.
    tonic_prost_build::configure()
        .build_transport(false)
        .generate_default_stubs(true)
        .bytes(".")
        .btree_map(".")
        .compile_fds(protox::compile(files, ["."])?)?;
    Ok(())
}
