//! x
use acceptance_tests::{simulator::Options, stage::Stage};
#[tokio::main]
async fn main() -> Result<(), String> {
    let stage = Stage::real(Options::default()).await?;
    let mut ws = stage.workspace()?;
    ws.copy(std::path::Path::new("examples/quickstart"))
        .unwrap();
    let (url, sum) = stage.image(
        &std::env::args()
            .nth(1)
            .unwrap_or("debian-13-docker.qcow2".into()),
    );
    ws.set("TF_VAR_image_url", url);
    ws.set("TF_VAR_image_checksum", sum);
    ws.set("TF_VAR_registry", stage.lab.as_ref().unwrap().registry());
    ws.set("TF_LOG_PROVIDER", std::env::var("LOG").unwrap_or_default());
    for args in [
        vec!["init"],
        vec!["plan"],
        vec!["apply", "-auto-approve"],
        vec!["plan"],
        vec!["destroy", "-auto-approve"],
    ] {
        println!("== {args:?}");
        let t = std::time::Instant::now();
        let mut a = args.clone();
        a.push("-no-color");
        stage.simulator.clear_journal();
        let s = ws.command(&a).status().await.unwrap();
        println!("-> {s} {:?}", t.elapsed());
        if !s.success() || std::env::var("J").is_ok() {
            for e in stage.simulator.journal() {
                println!(
                    "{} {} {:?} {} {}",
                    e.method,
                    e.path,
                    if e.path.contains("exec") {
                        Default::default()
                    } else {
                        e.params
                    },
                    e.status,
                    e.reason
                );
            }
            if !s.success() {
                break;
            }
        }
    }
    if std::env::var("HOLD").is_ok() {
        println!("lab {}", stage.lab.as_ref().unwrap().directory().display());
        let mut l = String::new();
        std::io::stdin().read_line(&mut l).unwrap();
    }
    stage.stop().await;
    Ok(())
}
