//! wsbump as a whole, against clients, servers and proxies that others wrote.
//!
//! `tests/run.sh` installs them. Every test starts its own proxy on free ports; they run side by side.

// A test says what went wrong by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

mod addresses;
mod admin;
mod attributed;
mod auth_basic;
mod auth_guard;
mod auth_ldap;
mod auth_negotiate;
mod auth_test;
mod broken_bodies;
mod browser;
mod cli;
mod client_limits;
mod coded_bodies;
mod company_ca;
mod control_frames;
mod curl;
mod dns;
mod drain;
mod dripping;
mod evading_bodies;
mod expect;
mod explained;
mod faults;
mod framings;
mod front_door;
mod fuzzed_http1;
mod grafana;
mod grpc;
mod harness_works;
mod held_bodies;
mod hostile_frames;
mod hostile_requests;
mod house_rules;
mod http1;
mod http2;
mod http2_fallback;
mod http2_hostile;
mod http2_peers;
mod icaps;
mod inside_tls;
mod inspected_http;
mod inspected_scans;
mod inspected_websockets;
mod intermediates;
mod invalid_certificates;
mod key_log;
mod leaks;
mod memory_budget;
mod messages;
mod observed;
mod odd_origins;
mod oracle;
mod pages;
mod peers;
mod policy;
mod policy_changes;
mod policy_settings;
mod recorded;
mod refusals;
mod relay;
mod reload;
mod resumption;
mod revocation;
mod revocation_lists;
mod rule_scope;
mod rules_live;
mod rules_shipped;
mod scanners;
mod secure_proxy;
mod slack;
mod small_window;
mod smuggling;
mod squid_lists;
mod test_rules;
mod threat_model;
mod tunnels;
mod upgrades;
mod websocket_evidence;
mod websockets;
