//! What is shipped to be put up: the compose project, and the demo that moves its panels.

use crate::cli::good;
use crate::harness::process::Process;
use crate::harness::proxy::Setup;
use crate::harness::{free_port, root, scratch, tool, until};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

fn compose() -> PathBuf {
    root().join("deploy/compose")
}

/// The project as Debian's docker-compose reads it; without a daemon.
fn project(profiles: &[&str]) -> Value {
    let mut command = Command::new("docker-compose");
    command.arg("-f").arg(compose().join("compose.yaml"));
    for profile in profiles {
        command.args(["--profile", profile]);
    }
    command.arg("config");
    let ended = Process::start("docker-compose", command).finish();
    assert!(ended.status.success(), "{:?}", ended.err);
    let python = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let folder = scratch();
    let file = folder.path().join("compose.yaml");
    std::fs::write(&file, ended.out.join("\n")).unwrap();
    // The Python that docker-compose itself runs on.
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", python]).arg(file);
    let ended = Process::start("yaml", command).finish();
    serde_json::from_str(&ended.out.join("")).unwrap_or_else(|error| panic!("{error}: {:?}", ended.err))
}

fn services(project: &Value) -> Vec<&str> {
    let services = project["services"].as_object().unwrap();
    services.keys().map(String::as_str).collect()
}

#[test]
fn the_compose_project_is_sound_and_reachable_from_this_machine_alone() {
    assert_eq!(
        services(&project(&["demo"])),
        ["clients", "echo", "grafana", "prometheus", "wsbump"]
    );
    let project = project(&["demo"]);
    let profiled = |name: &str| !project["services"][name]["profiles"].is_null();
    assert!(profiled("echo") && profiled("clients") && !profiled("wsbump") && !profiled("grafana"));
    for (name, service) in project["services"].as_object().unwrap() {
        for port in service["ports"].as_array().into_iter().flatten() {
            let port = port.as_str().unwrap_or_else(|| port["host_ip"].as_str().unwrap());
            assert!(port.starts_with("127.0.0.1"), "{name}: {port}");
        }
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let source = volume.as_str().unwrap().split(':').next().unwrap();
            if source.starts_with('/') {
                assert!(std::fs::exists(source).unwrap(), "{name} mounts {source}");
                assert!(volume.as_str().unwrap().contains(":ro"), "{name}: {volume}");
            }
        }
    }
    let wsbump = &project["services"]["wsbump"];
    assert_eq!(wsbump["read_only"], true);
    assert_eq!(wsbump["cap_drop"][0], "ALL");
}

#[test]
fn its_configurations_are_good() {
    let home = crate::cli::home();
    let config = compose().join("wsbump/wsbump.toml");
    let said = good(home.path(), &["check", "--config", config.to_str().unwrap()]);
    assert!(said.contains(": good\n"), "{said}");
    // The rules are where the container has them.
    let text = std::fs::read_to_string(compose().join("prometheus/prometheus.yml")).unwrap();
    let rules = root().join("grafana/alerts.yml");
    let here = text.replace("/etc/prometheus/alerts.yml", rules.to_str().unwrap());
    assert_ne!(here, text);
    let folder = scratch();
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, here).unwrap();
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "config"]).arg(file);
    let ended = Process::start("promtool", promtool).finish();
    assert!(ended.status.success(), "{:?} {:?}", ended.out, ended.err);
}

#[test]
fn the_demo_talks_through_the_proxy() {
    let port = free_port();
    let script = |name: &str| {
        let mut command = Command::new(tool("venv/bin/python"));
        command.arg(compose().join("demo").join(name));
        command
    };
    let mut echo = script("echo.py");
    echo.args([
        "--host",
        "echo.demo.internal",
        "--listen",
        "127.0.0.1",
        "--port",
        &port.to_string(),
    ]);
    let echo = Process::start("echo.py", echo);
    echo.out("listening", |line| line.contains("listening").then_some(()));

    // As the project has it, with the one list and the one setting that let it.
    let text = std::fs::read_to_string(compose().join("wsbump/wsbump.toml")).unwrap();
    let (_, demo) = text.split_once("# The origin of the demo signs").unwrap();
    let hosts = std::fs::read_to_string(compose().join("wsbump/demo-hosts")).unwrap();
    let proxy = Setup::new()
        .file("demo-hosts", &hosts)
        .host("echo.demo.internal", "127.0.0.1")
        .config(&format!("#{demo}"))
        .start();
    let mut clients = script("clients.py");
    clients
        .arg(format!("--proxy={}", proxy.url()))
        .arg(format!("--ca=http://{}/ca.pem", proxy.admin))
        .arg(format!("--url=wss://echo.demo.internal:{port}/chat"))
        .args(["--count=4", "--pause=0.02"]);
    let clients = Process::start("clients.py", clients);
    until("people come and go", || {
        let metrics = proxy.metrics();
        let messages = metrics.sum("wsbump_websocket_messages_total", &[("direction", "to_client")]);
        (messages > 50.0 && metrics.sum("wsbump_websocket_closes_total", &[]) > 1.0).then_some(())
    });
    assert!(clients.err.all().is_empty(), "{:?}", clients.err.all());
    drop(clients);
}
