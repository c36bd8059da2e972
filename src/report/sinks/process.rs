//! The process itself, as `/proc` shows it.

use prometheus::core::{Collector, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{Counter, Metric, MetricFamily, MetricType};

const CPU_SECONDS: &str = "process_cpu_seconds_total";

/// The process's families, with CPU time as finely as the kernel counts it: the crate's collector has whole seconds, of
/// which a rate over minutes makes steps.
pub(super) struct Process(ProcessCollector);

impl Process {
    pub(super) fn of_self() -> Self {
        Self(ProcessCollector::for_self())
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.0.collect();
        let cpu = families.iter_mut().find(|family| family.name() == CPU_SECONDS);
        let stat = std::fs::read_to_string("/proc/self/stat").ok();
        let seconds = stat.and_then(|stat| cpu_seconds(&stat, rustix::param::clock_ticks_per_second()));
        if let (Some(family), Some(seconds)) = (cpu, seconds) {
            let mut counter = Counter::default();
            counter.set_value(seconds);
            let mut metric = Metric::default();
            metric.set_counter(counter);
            family.set_field_type(MetricType::COUNTER);
            family.set_metric(vec![metric]);
        }
        families
    }
}

/// User and system time of `/proc/PID/stat`: its fields 14 and 15, in ticks (proc_pid_stat(5)).
fn cpu_seconds(stat: &str, ticks: u64) -> Option<f64> {
    // The second field is the program's name, which may have spaces and parentheses of its own.
    let (_, behind_name) = stat.rsplit_once(") ")?;
    let mut times = behind_name.split(' ').skip(11);
    let (user, system): (u64, u64) = (times.next()?.parse().ok()?, times.next()?.parse().ok()?);
    Some((user + system) as f64 / ticks as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{Registry, TextEncoder};

    #[test]
    fn cpu_time_is_read_whatever_the_program_is_called() {
        for name in ["wsbump", "a b", ") 1 2 (", "x) S 1"] {
            let stat = format!("77 ({name}) S 1 77 77 0 -1 4194560 900 0 3 0 123 45 7 8 20 0 4 0 99 1 2");
            assert_eq!(cpu_seconds(&stat, 100), Some(1.68), "{name}");
        }
        for broken in ["", "77 (a) S 1 2", "77 (a) S 1 77 77 0 -1 4194560 900 0 3 0 x 45"] {
            assert_eq!(cpu_seconds(broken, 100), None, "{broken}");
        }
    }

    #[test]
    fn every_family_is_there_once_and_cpu_time_has_fractions() {
        let registry = Registry::new();
        registry.register(Box::new(Process::of_self())).unwrap();
        let scrape = || TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for family in [
            "open_fds",
            "max_fds",
            "resident_memory_bytes",
            "start_time_seconds",
            "threads",
        ] {
            let text = scrape();
            assert_eq!(
                text.matches(&format!("# TYPE process_{family} ")).count(),
                1,
                "{text}"
            );
        }
        let cpu = || -> f64 {
            let text = scrape();
            let lines: Vec<_> = text
                .lines()
                .filter_map(|line| line.strip_prefix(CPU_SECONDS)?.strip_prefix(' '))
                .collect();
            let [value] = lines[..] else { panic!("{text}") };
            value.parse().unwrap()
        };
        // Work until it has grown by less than a second.
        let begun = cpu();
        let grown = loop {
            let now = cpu();
            if now > begun {
                break now - begun;
            }
        };
        assert!(grown < 1.0, "{grown}");
    }
}
