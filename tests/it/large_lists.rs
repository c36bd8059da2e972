//! Lists as large as the public ones of categories.

use crate::harness::scratch;
use std::path::Path;
use std::process::Command;

/// Runs a command; prints what it said, then the most memory that it had in KiB, and the seconds of its processor time.
const MEASURED: &str = "
import resource, subprocess, sys
print(subprocess.run(sys.argv[1:], check=True, stdout=subprocess.PIPE, text=True).stdout, end='')
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_maxrss)
print(used.ru_utime + used.ru_stime)
";

/// What `wsbump explain` says of a host that `names` may deny, the most memory that it had in KiB, and its seconds.
fn explained(folder: &Path, names: &str) -> (String, u64, f64) {
    std::fs::write(folder.join("big"), names).unwrap();
    let config = "list = [{ name = 'big', file = 'big', format = 'domains' }]\npolicy = { deny = ['big'] }\n";
    std::fs::write(folder.join("w.toml"), config).unwrap();
    let mut command = Command::new("python3");
    command.args([
        "-c",
        MEASURED,
        env!("CARGO_BIN_EXE_wsbump"),
        "explain",
        "--config",
    ]);
    command
        .arg(folder.join("w.toml"))
        .arg("--data-dir")
        .arg(folder.join("data"));
    command.arg("www.host999999.example:443");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let mut lines = said.lines().rev();
    let (seconds, peak) = (lines.next().unwrap(), lines.next().unwrap());
    (said.clone(), peak.parse().unwrap(), seconds.parse().unwrap())
}

/// The file with its 19 MiB included, since it is read whole. Times are those of a build for tests, ten times and more those
/// of a release, which `cargo bench --bench pure -- domains_1m` measures.
#[test]
fn a_million_domains_take_less_than_100_mib() {
    let folder = scratch();
    let (said, usual, _) = explained(folder.path(), "other.example\n");
    assert!(said.contains("is bumped"), "{said}");
    let names: String = (0..1_000_000).map(|i| format!(".host{i}.example\n")).collect();
    let (said, peak, seconds) = explained(folder.path(), &names);
    assert!(
        said.contains("list \"big\", line 1000000: .host999999.example"),
        "{said}"
    );
    let taken = peak.saturating_sub(usual);
    assert!(taken < 100 << 10, "{taken} KiB");
    assert!(seconds < 60.0, "{seconds} s");
}
