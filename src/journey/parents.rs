//! Looks after parents, as often as the configuration says.

use super::proxy::Proxy;
use crate::dial::Parent;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Checks the parents that are to be checked, for as long as this is polled.
pub async fn check_parents(proxy: Arc<Proxy>) {
    let mut adopted = proxy.adopted.subscribe();
    loop {
        let parents = Arc::clone(&proxy.config.load().parents);
        // Those of a configuration that is gone end here.
        let mut checks = JoinSet::new();
        for parent in parents.iter() {
            if let Some(every) = parent.config().check {
                checks.spawn(check(Arc::clone(&proxy), Arc::clone(parent), every));
            }
        }
        if adopted.changed().await.is_err() {
            return;
        }
    }
}

async fn check(proxy: Arc<Proxy>, parent: Arc<Parent>, every: Duration) {
    let mut turns = interval(every);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let config = proxy.config.load_full();
        let network = config.network(&proxy.own, config.deadlines());
        parent.check(&network, &proxy.report).await;
    }
}
